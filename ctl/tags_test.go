package ctl

import (
	"strings"
	"testing"
)

// TestTagsOfABucketDoNotWaitForFiles, as those of a file do.
func TestTagsOfABucketDoNotWaitForFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	w.tree.unsent = 6
	for verb, of := range map[string]func(Target, Each) any{
		"tags/set": func(t Target, e Each) any {
			return SetTagsRequest{Target: t, Tags: map[string]string{"k": "v"}, Each: e}
		},
		"tags/delete": func(t Target, e Each) any { return DeleteTagsRequest{Target: t, Keys: []string{"k"}, Each: e} },
	} {
		w.tree.settled = 0
		if a := w.run(verb, of(Target{}, Each{})); a.err != nil || len(a.notes) != 0 || w.tree.settled != 0 {
			t.Errorf("%s of the bucket: %v, notes %q, settled %d times", verb, a.err, a.notes, w.tree.settled)
		}
		for name, request := range map[string]any{"a file": of(target("f"), Each{}), "files of the bucket": of(Target{}, Each{Objects: []Text{"f"}})} {
			w.tree.settled = 0
			if a := w.run(verb, request); a.err != nil || !strings.Contains(strings.Join(a.notes, ""), "6 files are not in the store yet") || w.tree.settled != 1 {
				t.Errorf("%s of %s: %v, notes %q, settled %d times", verb, name, a.err, a.notes, w.tree.settled)
			}
		}
	}
}
