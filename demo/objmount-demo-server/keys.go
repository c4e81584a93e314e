package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keys are the credentials of one store.
type keys struct{ id, secret, path string }

// loadKeys reads DIR/credentials, or makes it with random keys.
func loadKeys(dir string) (keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keys{}, err
	}
	k := keys{path: filepath.Join(dir, "credentials")}
	f, err := os.Open(k.path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKeys(k.path)
	}
	if err != nil {
		return keys{}, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			k.id = strings.TrimSpace(value)
		case "aws_secret_access_key":
			k.secret = strings.TrimSpace(value)
		}
	}
	if k.id == "" || k.secret == "" {
		return keys{}, fmt.Errorf("%s holds no keys; remove it to get new ones", k.path)
	}
	return k, nil
}

func makeKeys(path string) (keys, error) {
	k := keys{id: "DEMO" + rand.Text()[:16], secret: rand.Text() + rand.Text(), path: path}
	text := fmt.Sprintf("# Keys of the demo store in this directory.\n[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", k.id, k.secret)
	// Written under another name first: an interrupted start leaves no file without keys.
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return keys{}, err
	}
	if err := os.Rename(temporary, path); err != nil {
		return keys{}, err
	}
	return k, nil
}
