package fs

import (
	"fmt"
	"testing"
)

// TestSurplus: of too many nodes, those that the kernel has not asked for in a long time are to be forgotten, and none that
// something here needs.
func TestSurplus(t *testing.T) {
	t.Parallel()
	tree := newTree("bucket", "")
	tree.bound(100 + 2*(dirWeight-1)) // two directories
	dir := newDir("d/")
	tree.add(tree.root(), "d", dir, true)
	nodes := make([]*node, 120)
	for i := range nodes {
		nodes[i] = newFile(fmt.Sprint(i))
		tree.add(dir, fmt.Sprint(i), nodes[i], true)
		if i == 90 && len(tree.tooMany) > 0 {
			t.Error("it is asked too early")
		}
	}
	if len(tree.tooMany) != 1 || !tree.crowded() {
		t.Error("nobody is asked to forget")
	}
	tree.remember(nodes[0]) // used again
	tree.pin(nodes[1])
	asked := tree.surplus()
	if left := tree.weight - len(asked); left != tree.most*3/4 {
		t.Errorf("of %d nodes, %d are to be forgotten", tree.count(), len(asked))
	}
	for i, n := range asked {
		if n != nodes[i+2] { // in the order of their last use
			t.Fatalf("number %d is %s", i, n.suffix())
		}
		tree.forget(n.id, 1)
	}
	tree.settled()
	if tree.crowded() || tree.weight != tree.most*3/4 || tree.child(dir, "0") != nodes[0] || tree.get(nodes[1].id) == nil {
		t.Errorf("%d nodes are left", tree.count())
	}
	<-tree.tooMany
	for i := range 28 {
		tree.add(dir, fmt.Sprint("more", i), newFile("f"), true)
	}
	if len(tree.tooMany) != 1 {
		t.Error("it is not asked again")
	}
}

// TestNothingIsForgottenWithoutBound: a mount that was given none.
func TestNothingIsForgottenWithoutBound(t *testing.T) {
	t.Parallel()
	tree := newTree("bucket", "")
	for i := range 10_000 {
		tree.add(tree.root(), fmt.Sprint(i), newFile("f"), true)
	}
	if tree.crowded() || tree.count() != 10_001 {
		t.Errorf("%d nodes", tree.count())
	}
}
