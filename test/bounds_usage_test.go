package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/ctl"
	"github.com/objmount/objmount/fs"
)

// usageWithin fails the test for what is used beyond its bound.
func usageWithin(t *testing.T, when string, u ctl.Usage) {
	t.Helper()
	t.Logf("%s: %+v", when, u)
	for name, use := range map[string]ctl.Use{
		"goroutines": u.Goroutines, "descriptors": u.Descriptors, "requests": u.Requests, "requests to the store": u.StoreRequests,
		"reads": u.Reads, "uploads": u.Uploads, "parts": u.Parts,
	} {
		if use.Now < 0 || use.Most <= 0 || use.Now > use.Most {
			t.Errorf("%s: %d %s of %d", when, use.Now, name, use.Most)
		}
	}
}

// usageUntil asks for the status until it is as it should be.
func (m *mount) usageUntil(what string, good func(ctl.Usage) bool) ctl.Usage {
	m.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		u := m.state().Usage
		if good(u) {
			return u
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("never: %s; at last %+v", what, u)
		}
	}
}

// TestUsageOfBlockedReaders: many files are open, and many programs wait in read(2) and open(2) for a store that is silent. The
// status answers, and what the process uses is within the bounds that it tells; when the store answers, every byte is
// right, and all is given back.
func TestUsageOfBlockedReaders(t *testing.T) {
	t.Parallel()
	files, readers, limits := 500, 200, []int{64}
	if longRun() {
		files, readers, limits = 10_000, 1_000, anyLimit()
	}
	for _, limit := range limits {
		t.Run(fmt.Sprintf("%dMiB", limit), func(t *testing.T) {
			v := newVastStore(t, files+readers, 8<<30)
			m := boundedMount(t, v, limit)
			openMany(t, m.in("flat"), files)
			before := m.usageUntil("nothing waits", func(u ctl.Usage) bool { return u.Requests.Now == 0 && u.StoreRequests.Now == 0 })
			usageWithin(t, "files are open", before)
			v.peak()
			v.holdReads()
			var group errgroup.Group
			for i := range readers {
				group.Go(func() error { return readBlocked(m, files, i) })
			}
			// Reads of the large file go through the kernel's cache, which has so many requests under way and keeps the rest.
			most := int64(readers/2 + min(readers/2, fs.MaxBackground))
			held := m.usageUntil("all wait", func(u ctl.Usage) bool { return u.Requests.Now >= most && u.Reads.Now == u.Reads.Most })
			usageWithin(t, "all wait", held)
			if text := m.must("status", m.dir); !strings.Contains(text, "goroutines") || !strings.Contains(text, "file descriptors") {
				t.Errorf("status says %s", text)
			}
			if held.Reads.Most != 64 || held.StoreRequests.Now < 64 || int64(v.peak()) > held.StoreRequests.Most {
				t.Errorf("up to %d requests were at the store; status says %+v", v.peak(), held)
			}
			if held.Descriptors.Now > held.StoreRequests.Most+128 {
				t.Errorf("%d descriptors are open, with up to %d connections", held.Descriptors.Now, held.StoreRequests.Most)
			}
			v.release()
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			after := m.usageUntil("all is given back", func(u ctl.Usage) bool {
				return u.Requests.Now == 0 && u.StoreRequests.Now == 0 && u.Reads.Now == 0 && u.Goroutines.Now < held.Goroutines.Now-int64(readers)
			})
			usageWithin(t, "all is read", after)
			m.staysBelow(limit, fmt.Sprintf("%d readers wait", readers))
			tell(t, 1, files+readers, readers)
		})
	}
}

// readBlocked reads a small file that was not opened before, or a piece of the large one.
func readBlocked(m *mount, from, i int) error {
	name, at, got := filepath.Join("flat", fmt.Sprintf("%07d", from+i)), int64(0), make([]byte, vastFile)
	if i%2 == 0 {
		name, at, got = "big", int64(i)<<22, make([]byte, 128<<10)
	}
	f, err := os.Open(m.in(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(got, at); err != nil {
		return err
	}
	want := make([]byte, len(got))
	vastBytes(want, at)
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: wrong bytes at %d: %s", name, at, firstDifference(got, want))
	}
	return nil
}

// fewFiles is objmount in a process that may have so many descriptors, by hard limit.
func fewFiles(t *testing.T, most int) string {
	t.Helper()
	binary, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(newState(t), "objmount")
	text := fmt.Sprintf("#!/bin/sh\nulimit -Sn 40\nulimit -Hn %d\nexec %q \"$@\"\n", most, binary)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return script
}

// TestFewDescriptors: with a low hard limit of open files the mount says once what to do, works with fewer connections, and
// loses nothing.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	const most, files = 128, 300
	v := newVastStore(t, files, 1<<30)
	m := newMount(t, mountOptions{
		endpoint: v.endpoint, source: "s3://vast", binary: fewFiles(t, most), noisy: "LimitNOFILE|nothing more is written to the disk", args: []string{"--commit=background"},
	})
	var said int
	for _, line := range m.log.lines() {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "LimitNOFILE") {
			said++
		}
	}
	// The runtime raises the soft limit to one below the hard one, so that it can tell whether somebody has changed it since.
	if u := m.state().Usage; said != 1 || u.Descriptors.Most < most-1 || u.StoreRequests.Most != (most-1)/4 {
		t.Errorf("there are %d warnings and the status says %+v", said, u)
	}
	openMany(t, m.in("flat"), files)
	writeTogether(t, m, 100, 512<<10)
	var group errgroup.Group
	for i := range 100 {
		group.Go(func() error { return readBlocked(m, 0, i) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	usageWithin(t, "at work", m.state().Usage)
	m.must("ctl", "flush", m.dir)
	for i := range 100 {
		if n, there := v.size(fmt.Sprintf("w/%03d", i)); !there || n != 512<<10 {
			t.Errorf("file %d is in the store with %d bytes (%v)", i, n, there)
		}
	}
}
