package ctl

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestUnifiedDiff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, to, want string }{
		{"", "", ""},
		{"a\nb\n", "a\nb\n", ""},
		{"", "a\n", "@@ -0,0 +1 @@\n+a\n"},
		{"a\n", "", "@@ -1 +0,0 @@\n-a\n"},
		{"a\n", "a", "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"},
		{"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n", "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
		{"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n", "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
	} {
		want := test.want
		if want != "" {
			want = "--- old\n+++ new\n" + want
		}
		if got := unifiedDiff("old", "new", []byte(test.from), []byte(test.to)); got != want {
			t.Errorf("%q to %q:\n%swant\n%s", test.from, test.to, got, want)
		}
	}
}

// TestDiffLeadsFromOneToTheOther applies what compare says, and checks that nothing shorter does.
func TestDiffLeadsFromOneToTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n"})
		a, b := rapid.SliceOfN(line, 0, 12).Draw(t, "a"), rapid.SliceOfN(line, 0, 12).Draw(t, "b")
		var fromA, toB []string
		changes := 0
		for _, e := range compare(a, b) {
			if e.op != '+' {
				fromA = append(fromA, a[e.a])
			}
			if e.op != '-' {
				toB = append(toB, b[e.b])
			}
			if e.op != ' ' {
				changes++
			}
		}
		if strings.Join(fromA, "") != strings.Join(a, "") || strings.Join(toB, "") != strings.Join(b, "") {
			t.Fatalf("%q to %q goes from %q to %q", a, b, fromA, toB)
		}
		if want := len(a) + len(b) - 2*commonLines(a, b); changes != want {
			t.Fatalf("%q to %q takes %d changes, %d would do", a, b, changes, want)
		}
	})
}

// commonLines is the length of the longest common subsequence.
func commonLines(a, b []string) int {
	best := make([]int, len(b)+1)
	for i := range a {
		corner := 0
		for j := range b {
			old := best[j+1]
			if a[i] == b[j] {
				best[j+1] = corner + 1
			} else {
				best[j+1] = max(best[j+1], best[j])
			}
			corner = old
		}
	}
	return best[len(b)]
}

// TestDiffIsAPatch lets patch apply it.
func TestDiffIsAPatch(t *testing.T) {
	t.Parallel()
	patch, err := exec.LookPath("patch")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no patch")
	}
	var from, to strings.Builder
	for i := range 500 {
		if i%7 != 0 {
			fmt.Fprintf(&from, "line %d\n", i)
		}
		if i%11 != 0 && i < 450 {
			fmt.Fprintf(&to, "line %d\n", i)
		}
	}
	to.WriteString("end")
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte(from.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(patch, "--quiet", name)
	cmd.Stdin = strings.NewReader(unifiedDiff("a", "b", []byte(from.String()), []byte(to.String())))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != to.String() {
		t.Errorf("patch made something else of it (%v)", err)
	}
}

func TestVeryDifferentTexts(t *testing.T) {
	t.Parallel()
	var from, to strings.Builder
	for i := range 2 * maxEdits {
		fmt.Fprintf(&from, "a%d\n", i)
		fmt.Fprintf(&to, "b%d\n", i)
	}
	got := unifiedDiff("a", "b", []byte("same\n"+from.String()), []byte("same\n"+to.String()))
	if want := 2*2*maxEdits + 4; strings.Count(got, "\n") != want {
		t.Errorf("%d lines, want %d", strings.Count(got, "\n"), want)
	}
}
