package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// remount unmounts and mounts again with the same state, and forgets what was counted.
func (b *budget) remount() {
	b.Helper()
	b.m.unmount()
	b.proxy.take()
	b.m = b.m.again()
	b.dir = b.m.dir
}

func TestMountBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(t, nil)
	b.seed("file", 10)
	b.list(".")
	b.remount()
	if got := b.proxy.take(); got.total() > 2 {
		t.Errorf("a mount with a warm state directory cost %s; at most 2 requests", got)
	}
	b.m.unmount()
}

func TestReadAfterRemountBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(t, []string{"--cache-size=256MiB"})
	b.seed("big", 20*mib)
	b.seed("small", 5000)
	b.read("big")
	b.read("small")
	b.remount()
	b.read("big")
	b.read("small")
	if got := b.proxy.take(); got.received != 0 {
		t.Errorf("reads after a remount received object data: %s", got)
	}
	b.m.unmount()
}

// A tree that a mount has made keeps attributes: the first ls -l asks for each, later ones do not,
// also after a remount.
func TestAttributesBudget(t *testing.T) {
	t.Parallel()
	const n = 70
	b := newBudget(t, nil)
	if err := os.Mkdir(filepath.Join(b.dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b.write(fmt.Sprintf("d/%d", i), 10)
	}
	b.attributes("d/1")
	b.m.unmount()
	b.m = b.m.again(func(o *mountOptions) { o.state = newState(t) }) // nothing is known
	b.dir = b.m.dir
	time.Sleep(2 * time.Second) // attributes younger than that are not remembered across remounts
	b.proxy.take()
	b.lines(b.run("ls", "-l", b.dir+"/d"), n+1)
	first := b.proxy.take()
	if heads := first.counts["HeadObject"]; heads < n || heads > n+3 {
		t.Errorf("the first ls -l cost %s; want a HEAD for each of %d entries and at most 3 for directories", first, n)
	}
	b.lines(b.run("ls", "-l", b.dir+"/d"), n+1)
	if again := b.proxy.take(); again.counts["HeadObject"] != 0 {
		t.Errorf("the second ls -l cost %s; want no HEAD", again)
	}
	b.remount()
	b.lines(b.run("ls", "-l", b.dir+"/d"), n+1)
	if later := b.proxy.take(); later.counts["HeadObject"] > 2 {
		t.Errorf("ls -l after a remount cost %s; want no HEAD but for directories", later)
	}
	b.m.unmount()
}
