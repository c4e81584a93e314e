package xattr

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keyNames are what families of names end in, in docs/xattrs.md.
var keyNames = map[string]string{"tag.": "KEY", "meta.": "KEY", "annotation.": "NAME", "checksum.": "ALGORITHM"}

// documented is what docs/xattrs.md must say of a row: where it is, and what can be done.
func documented(r *row) string {
	where, access := "", "r"
	for scope, letter := range []string{"f", "d", "b"} {
		if r.scopes.has(Scope(scope)) {
			where += letter
		}
	}
	for _, c := range []struct {
		has    bool
		letter string
	}{{r.set != nil, "w"}, {r.remove != nil, "x"}, {r.keys != nil || r.listed != nil, "l"}} {
		if c.has {
			access += c.letter
		}
	}
	return where + " " + access
}

func TestDocumentationHasEveryName(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/xattrs.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{Root: documented(&everything), "user.NAME": documented(&other)}
	for _, r := range tableRows() {
		want[Prefix+r.name+keyNames[r.name]] = documented(r)
	}
	got := map[string]string{}
	for _, line := range regexp.MustCompile("(?m)^\\| `(user\\.[^`]+)` \\| ([fdb]+) \\| ([rwxl]+) \\| .").FindAllStringSubmatch(string(text), -1) {
		got[line[1]] = line[2] + " " + line[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	examples := strings.Join(regexp.MustCompile("(?s)```console\n.*?```").FindAllString(string(text), -1), "")
	for name := range got {
		begin, _, family := strings.Cut(name, "KEY")
		for _, end := range []string{"NAME", "ALGORITHM"} {
			if cut, ok := strings.CutSuffix(name, end); ok {
				begin, family = cut, true
			}
		}
		example := "-n " + begin
		if !family {
			example += " "
		}
		if !strings.Contains(examples, example) {
			t.Errorf("%s has no example", name)
		}
	}
}
