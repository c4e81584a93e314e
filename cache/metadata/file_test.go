package metadata

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// reopen closes a cache and opens one on the same file.
func reopen(t *testing.T, old *Cache, path string) *Cache {
	t.Helper()
	if old != nil {
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return openQuiet(t, path, nil)
}

// openQuiet opens a cache whose warnings go to log; with nil, they fail the test.
func openQuiet(t *testing.T, path string, log *bytes.Buffer) *Cache {
	t.Helper()
	var unexpected bytes.Buffer
	w := log
	if w == nil {
		w = &unexpected
	}
	store := mem.New(bucket)
	c, err := Open(Config{Lister: store, Reader: store, TTL: time.Minute, Path: path, Log: slog.New(slog.NewTextHandler(w, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if unexpected.Len() > 0 {
		t.Error(unexpected.String())
	}
	return c
}

func TestAttributesSurviveRemounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "metadata")
	c := reopen(t, nil, path)
	for i := range 3000 {
		c.Remember(head(fmt.Sprint(i), "v1", day))
	}
	expect(t, c, listed("5", "v1", day), "v1")
	c = reopen(t, c, path)
	want := head("17", "v1", day)
	want.Fetched = time.Time{}
	o, ok := c.Details(listed("17", "v1", day))
	if diff := cmp.Diff(want, o); diff != "" || !ok {
		t.Error(diff)
	}
	for i := range 3000 {
		expect(t, c, listed(fmt.Sprint(i), "v1", day), "v1")
	}
	expect(t, c, listed("5", "v1", day.Add(time.Second)), "unknown")
	c.Remember(head("5", "v2", day))
	c.Removed(bucket, "6")
	c.PrefixRemoved(bucket, "7")
	c = reopen(t, c, path)
	expect(t, c, listed("5", "v2", day), "v2")
	expect(t, c, listed("5", "v1", day), "unknown")
	expect(t, c, listed("6", "v1", day), "unknown")
	expect(t, c, listed("7", "v1", day), "unknown")
	expect(t, c, listed("8", "v1", day), "v1")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A file written in the background is there before Close: after kill -9 it still counts.
func TestAttributesSurviveAKilledProcess(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "m"), filepath.Join(t.TempDir(), "m")
	c := reopen(t, nil, from)
	defer c.Close()
	c.Remember(head("k", "v1", day))
	time.Sleep(2 * gather)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c.attrs.file.mu.Lock()
		busy := len(c.attrs.file.pending) + len(c.attrs.file.writing)
		c.attrs.file.mu.Unlock()
		if busy == 0 {
			break
		}
	}
	for _, suffix := range []string{"", stateSuffix} {
		data, err := os.ReadFile(from + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	killed := openQuiet(t, to, nil)
	expect(t, killed, listed("k", "v1", day), "v1")
	killed.Close()
}

func TestUntrustedFilesBeginEmpty(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"a flipped bit": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(path, data, 0o600)
		},
		"cut":     func(path string) error { return os.Truncate(path, 5000) },
		"no file": func(path string) error { return os.WriteFile(path, []byte("hello"), 0o600) },
		"no state": func(path string) error {
			return os.Remove(path + stateSuffix)
		},
		"power loss": func(path string) error {
			return os.WriteFile(path+stateSuffix, []byte(`{"version":1,"boot":"another"}`), 0o600)
		},
		"a broken state": func(path string) error { return os.WriteFile(path+stateSuffix, []byte(`{`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "m")
			c := reopen(t, nil, path)
			for i := range 500 {
				c.Remember(head(fmt.Sprint(i), "v1", day))
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			c = openQuiet(t, path, &log)
			if n := strings.Count(log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d warnings: %s", n, log.String())
			}
			expect(t, c, listed("5", "v1", day), "unknown")
			c.Remember(head("5", "v2", day))
			c = reopen(t, c, path)
			expect(t, c, listed("5", "v2", day), "v2")
			c.Close()
			if _, err := os.Stat(path + asideSuffix); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFileInUseMeansMemoryOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m")
	first := reopen(t, nil, path)
	defer first.Close()
	first.Remember(head("k", "v1", day))
	var log bytes.Buffer
	second := openQuiet(t, path, &log)
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "in use") {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	expect(t, second, listed("k", "v1", day), "unknown")
	second.Remember(head("k", "v2", day))
	expect(t, second, listed("k", "v2", day), "v2")
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	expect(t, first, listed("k", "v1", day), "v1")
}

func TestFileThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file", "m"), "/proc/none/m"} {
		var log bytes.Buffer
		c := openQuiet(t, path, &log)
		if strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("%s: %s", path, log.String())
		}
		c.Remember(head("k", "v1", day))
		expect(t, c, listed("k", "v1", day), "v1")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m")
	f, err := openFile(path, 1000, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	id := func(i int) backend.ObjectID {
		return backend.ObjectID{Bucket: bucket, Key: fmt.Sprintf("%05d", i*7919%100_000)}
	}
	for i := range 5000 {
		f.put(id(i), []byte("x"))
		if i%100 == 99 {
			f.flush()
		}
	}
	kept := 0
	for i := range 5000 {
		if f.get(id(i)) != nil {
			kept++
		}
	}
	if kept < 700 || kept > 1000 {
		t.Errorf("%d records are kept of at most 1000", kept)
	}
	for i := range 5000 {
		f.put(id(i), nil)
	}
	f.flush()
	for i := range 5000 {
		if f.get(id(i)) != nil {
			t.Fatal("a record is left")
		}
	}
}
