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
	tree.bound(100)
	dir := &node{dir: true, suffix: "d/"}
	tree.add(tree.root(), "d", dir, true)
	nodes := make([]*node, 120)
	for i := range nodes {
		nodes[i] = &node{suffix: fmt.Sprint(i)}
		tree.add(dir, nodes[i].suffix, nodes[i], true)
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
	if len(asked) != len(tree.byID)-75 {
		t.Errorf("%d of %d nodes are to be forgotten", len(asked), len(tree.byID))
	}
	for i, n := range asked {
		if n != nodes[i+2] { // in the order of their last use
			t.Fatalf("number %d is %s", i, n.suffix)
		}
		tree.forget(n.id, 1)
	}
	tree.settled()
	if tree.crowded() || tree.count() != 75 || tree.child(dir, "0") != nodes[0] || tree.get(nodes[1].id) == nil {
		t.Errorf("%d nodes are left", tree.count())
	}
	<-tree.tooMany
	for i := range 26 {
		tree.add(dir, fmt.Sprint("more", i), &node{}, true)
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
		tree.add(tree.root(), fmt.Sprint(i), &node{}, true)
	}
	if tree.crowded() || tree.count() != 10_001 {
		t.Errorf("%d nodes", tree.count())
	}
}
