package fs

import (
	"testing"

	"pgregory.net/rapid"
)

func newDir(suffix string) *node {
	return &node{dir: true, extra: &extra{suffix: suffix}, body: &body{}}
}

func newFile(suffix string) *node {
	return &node{extra: &extra{suffix: suffix}, body: &body{}}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	tree := newTree("bucket", "top/")
	dir := newDir("a/")
	tree.add(tree.root(), "a", dir, true)
	file := newFile("f")
	tree.add(dir, "f", file, true)
	if got, want := tree.locate(file), (place{"bucket", "top/a/f"}); got != want {
		t.Errorf("locate = %v, want %v", got, want)
	}
	tree.move(dir, tree.root(), "b", "b/")
	if got, want := tree.locate(file), (place{"bucket", "top/b/f"}); got != want {
		t.Errorf("after the rename of its directory: %v, want %v", got, want)
	}
	if tree.child(tree.root(), "a") != nil {
		t.Error("the old name still leads to the directory")
	}
}

// TestTreeKeepsWhatTheKernelHolds runs random lookups, forgets, renames and removals: every node with
// references is found by its id, and without references nothing stays.
func TestTreeKeepsWhatTheKernelHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := newTree("bucket", "")
		held := map[*node]uint64{}
		dirs := []*node{tree.root()}
		var nodes []*node
		steps := rapid.IntRange(1, 80).Draw(t, "steps")
		for range steps {
			parent := rapid.SampledFrom(dirs).Draw(t, "parent")
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0:
				if parent.id != rootID && held[parent] == 0 {
					continue
				}
				n := newFile(name + "/")
				if rapid.Bool().Draw(t, "dir") {
					n = newDir(name + "/")
				}
				tree.add(parent, name, n, true)
				held[n]++
				nodes = append(nodes, n)
				if n.dir {
					dirs = append(dirs, n)
				}
			case 1:
				if n := tree.child(parent, name); n != nil {
					tree.remember(n)
					held[n]++
				}
			case 2, 3:
				if len(nodes) == 0 {
					continue
				}
				n := rapid.SampledFrom(nodes).Draw(t, "node")
				if held[n] > 0 {
					count := rapid.Uint64Range(1, held[n]).Draw(t, "count")
					tree.forget(n.id, count)
					held[n] -= count
				}
			case 4:
				if n := tree.child(parent, name); n != nil {
					tree.detach(n)
				}
			}
			for n, count := range held {
				if count > 0 && tree.get(n.id) != n {
					t.Fatalf("node %d has %d references and is not found", n.id, count)
				}
			}
		}
		for n, count := range held {
			tree.forget(n.id, count)
		}
		if left := tree.count(); left != 1 {
			t.Fatalf("%d nodes left without references", left-1)
		}
		for _, n := range tree.index.names {
			if n != nil {
				t.Fatalf("the name %s is left", n.name)
			}
		}
	})
}
