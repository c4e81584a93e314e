package main

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// seed puts an object of n random bytes into a bucket's folder. All seeds of one size share an
// inode, and with it the page cache: the store replaces files and never changes them.
func (s *server) seed(folder, key string, n int) error {
	if s.files[n] == "" {
		name, err := newSeed(filepath.Dir(s.data), n)
		if err != nil {
			return err
		}
		s.files[n] = name
	}
	if n >= mib {
		if err := warm(s.files[n]); err != nil {
			return err
		}
	}
	name := filepath.Join(folder, key)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	err := os.Link(s.files[n], name)
	if err != nil && !os.IsExist(err) { // too many links: start another file
		delete(s.files, n)
		return s.seed(folder, key, n)
	}
	return err
}

// newSeed makes a file as the store would have made it of an upload.
func newSeed(dir string, n int) (name string, err error) {
	f, err := os.CreateTemp(dir, "seed")
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, source := md5.New(), mathrand.NewChaCha8([32]byte{byte(n)})
	buffer := make([]byte, min(n, mib))
	for left := n; left > 0; left -= len(buffer) {
		buffer = buffer[:min(left, len(buffer))]
		_, _ = source.Read(buffer) // never fails
		sum.Write(buffer)
		if _, err := f.Write(buffer); err != nil {
			return "", err
		}
	}
	if err := unix.Fsetxattr(int(f.Fd()), "user.etag", []byte(hex.EncodeToString(sum.Sum(nil))), 0); err != nil {
		return "", err
	}
	// What a program reads is seldom as young as this; some clients treat it with more care while it is.
	hourAgo := time.Now().Add(-time.Hour)
	return f.Name(), os.Chtimes(f.Name(), hourAgo, hourAgo)
}

// seedBytes returns a range of the seed of a size.
func (s *server) seedBytes(size int, off int64, n int) ([]byte, error) {
	f, err := os.Open(s.files[size])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, n)
	_, err = f.ReadAt(data, off)
	return data, err
}

// warm brings a file into the page cache.
func warm(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, mib))
	return err
}
