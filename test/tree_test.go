package test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An entry is one name of a tree, as far as tests compare it.
type entry struct {
	mode   fs.FileMode // type and permission bits
	size   int64       // of a file
	sha256 string      // of a file
	target string      // of a symbolic link
	mtime  time.Time   // of a file
}

func (e entry) String() string {
	switch {
	case e.target != "":
		return fmt.Sprintf("%v -> %s", e.mode, e.target)
	case e.mode.IsDir():
		return e.mode.String()
	}
	return fmt.Sprintf("%v %d bytes, SHA-256 %.12s, %s", e.mode, e.size, e.sha256, e.mtime.UTC().Format("2006-01-02 15:04:05.999999999"))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readTree reads everything below dir by ordinary calls. Names are relative to dir.
func readTree(dir string) (map[string]entry, error) {
	tree := map[string]entry{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{mode: info.Mode() & (fs.ModeType | fs.ModePerm)}
		switch {
		case info.Mode().IsRegular():
			e.size, e.mtime = info.Size(), info.ModTime()
			if e.sha256, err = hashFile(name); err != nil {
				return err
			}
		case info.Mode()&fs.ModeSymlink != 0:
			e.mode = fs.ModeSymlink // the permission bits of a link mean nothing
			if e.target, err = os.Readlink(name); err != nil {
				return err
			}
		}
		relative, err := filepath.Rel(dir, name)
		tree[relative] = e
		return err
	})
	return tree, err
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// mustTree is readTree for tests.
func mustTree(t testing.TB, dir string) map[string]entry {
	t.Helper()
	tree, err := readTree(dir)
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	return tree
}

// What compareTrees leaves out.
type leaveOut uint8

const (
	mtimes leaveOut = 1 << iota
	modes
)

// compareTrees reports how got differs from want, a few lines at most.
func compareTrees(t testing.TB, got, want map[string]entry, out leaveOut) {
	t.Helper()
	reportSome(t, treeDifferences(got, want, out))
}

func treeDifferences(got, want map[string]entry, out leaveOut) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[name]
		w := want[name]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s is missing", name))
			continue
		}
		if out&mtimes != 0 || g.mtime.Truncate(time.Microsecond).Equal(w.mtime.Truncate(time.Microsecond)) {
			g.mtime, w.mtime = time.Time{}, time.Time{}
		}
		if out&modes != 0 {
			g.mode, w.mode = g.mode&fs.ModeType, w.mode&fs.ModeType
		}
		if g != w {
			problems = append(problems, fmt.Sprintf("%s is %v, want %v", name, g, w))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			problems = append(problems, fmt.Sprintf("%s should not be there", name))
		}
	}
	return problems
}

// compareObjects reports how the objects below prefix, seen by the foreign client, differ from a tree seen through
// the mount: files must have the same bytes; links, directories and markers only exist.
func compareObjects(t testing.TB, objects map[string]object, prefix string, tree map[string]entry) {
	t.Helper()
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		e, o := tree[name], objects[prefix+name]
		if e.mode.IsDir() {
			continue
		}
		if _, ok := objects[prefix+name]; !ok {
			problems = append(problems, fmt.Sprintf("%s is not in the store", name))
		} else if e.mode.IsRegular() && (o.Size != e.size || o.SHA256 != e.sha256) {
			problems = append(problems, fmt.Sprintf("%s: the store has %d bytes, SHA-256 %.12s; the mount shows %d bytes, %.12s",
				name, o.Size, o.SHA256, e.size, e.sha256))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		name := strings.TrimPrefix(key, prefix)
		if _, ok := tree[name]; !ok && !strings.HasSuffix(key, "/") && key != ".objmount-dir" {
			problems = append(problems, fmt.Sprintf("the store has %s, which the mount does not show", key))
		}
	}
	reportSome(t, problems)
}

func reportSome(t testing.TB, problems []string) {
	t.Helper()
	const most = 10
	for _, p := range problems[:min(len(problems), most)] {
		t.Error(p)
	}
	if len(problems) > most {
		t.Errorf("... and %d more", len(problems)-most)
	}
}
