package names_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/objmount/objmount/fs/names"
	"pgregory.net/rapid"
)

func legal(name string) bool {
	return len(name) >= 1 && len(name) <= names.MaxName && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// components draws byte strings without slashes, with a taste for what looks like an escape.
func components() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"", ".", "..", "%", "%file", "%key", "%part", "%empty", "%25", "%00", "%2E", "%2e", "%2", "\x00", "a", "é", "日本",
			"a%file", ".objmount-dir", "\xff", "\n", " ", "%25file%key",
		}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(bytes.ReplaceAll(b, []byte("/"), nil)) }),
		rapid.Map(rapid.IntRange(0, 600), func(n int) string { return strings.Repeat("x", n) }),
		rapid.Map(rapid.IntRange(0, 120), func(n int) string { return strings.Repeat("%", n) }),
		rapid.Map(rapid.IntRange(0, 120), func(n int) string { return strings.Repeat("語", n) }),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 4), func(s []string) string { return strings.Join(s, "") })
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		component string
		kind      names.Kind
		name      string
	}{
		{"report 2024.txt", names.Natural, "report 2024.txt"},
		{"100%", names.Natural, "100%"},
		{"a%zz%key", names.Natural, "a%zz%key"},
		{"b%key", names.Natural, "b%key"},
		{"", names.Natural, "%empty"},
		{".", names.Natural, "%2E%key"},
		{"..", names.Natural, "%2E%2E%key"},
		{"...", names.Natural, "..."},
		{"a\x00b", names.Natural, "a%00b%key"},
		{"a%file", names.Natural, "a%25file%key"},
		{"%empty", names.Natural, "%25empty%key"},
		{"a%25file%key", names.Natural, "a%2525file%25key%key"},
		{"a", names.File, "a%file"},
		{"", names.File, "%file"},
		{".", names.File, "%2E%file"},
		{"100%", names.File, "100%25%file"},
		{strings.Repeat("x", 250), names.Part, strings.Repeat("x", 250) + "%part"},
		{strings.Repeat("x", 255), names.Natural, strings.Repeat("x", 255)},
		{"\xff\xfe", names.Natural, "\xff\xfe"},
	} {
		if got := names.Encode(c.component, c.kind); got != c.name {
			t.Errorf("Encode(%q, %v) = %q, want %q", c.component, c.kind, got, c.name)
		}
		if comp, kind := names.Decode(c.name); comp != c.component || kind != c.kind {
			t.Errorf("Decode(%q) = %q, %v, want %q, %v", c.name, comp, kind, c.component, c.kind)
		}
	}
}

func TestEveryComponentHasItsOwnName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		component := components().Draw(t, "component")
		for _, kind := range []names.Kind{names.Natural, names.File} {
			checkComponent(t, component, kind)
		}
	})
}

func checkComponent(t interface{ Fatalf(string, ...any) }, component string, kind names.Kind) {
	name := names.Encode(component, kind)
	if !legal(name) {
		t.Fatalf("Encode(%q, %v) = %q is not a legal name", component, kind, name)
	}
	split := names.Split
	if kind == names.File {
		split = names.SplitFile
	}
	piece, rest, long := split(component)
	if !long {
		if piece != component || rest != "" {
			t.Fatalf("Split(%q, %v) = %q, %q, false", component, kind, piece, rest)
		}
		if c, k := names.Decode(name); c != component || k != kind {
			t.Fatalf("Decode(Encode(%q, %v)) = %q, %v", component, kind, c, k)
		}
		return
	}
	if piece+rest != component || piece == "" || rest == "" {
		t.Fatalf("Split(%q, %v) = %q, %q", component, kind, piece, rest)
	}
	if c, k := names.Decode(name); c != piece || k != names.Part {
		t.Fatalf("Decode(Encode(%q, %v)) = %q, %v, want its first piece", component, kind, c, k)
	}
	if !names.Continues(piece, rest, kind) {
		t.Fatalf("Continues(%q, %q, %v) is false", piece, rest, kind)
	}
	// Whatever follows the same next byte is cut at the same place.
	if p, _, _ := split(component + "more"); p != piece {
		t.Fatalf("a longer component is cut elsewhere: %q, %q", p, piece)
	}
	checkComponent(t, rest, kind)
}

func TestEveryNameHasOneMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := components().Filter(legal).Draw(t, "name")
		checkName(t, name)
	})
}

func checkName(t interface{ Fatalf(string, ...any) }, name string) {
	component, kind := names.Decode(name)
	if strings.Contains(component, "/") {
		t.Fatalf("Decode(%q) = %q leaves its directory", name, component)
	}
	if got := names.Encode(component, kind); got != name {
		t.Fatalf("Encode(Decode(%q)) = %q (component %q, %v)", name, got, component, kind)
	}
}

func TestNeighboursOfALongComponent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	piece, rest, _ := names.Split(long)
	if len(piece) != 250 || len(rest) != 50 {
		t.Fatalf("cut at %d", len(piece))
	}
	for _, short := range []string{"", "x", "xxxxx"} {
		if names.Continues(piece, short, names.Natural) {
			t.Errorf("%d bytes have a natural name, but Continues is true", 250+len(short))
		}
	}
	if names.Continues(piece, "", names.File) || !names.Continues(piece, "x", names.File) {
		t.Error("251 bytes do not fit as a File, 250 do")
	}
	tear := strings.Repeat("x", 249) + strings.Repeat("é", 10)
	if p, _, _ := names.SplitFile(tear); len(p) != 249 {
		t.Errorf("a UTF-8 sequence was torn at %d", len(p))
	}
}

func TestHidden(t *testing.T) {
	t.Parallel()
	if !names.Hidden(names.DirObject) || names.Hidden("objmount-dir") || names.Hidden("") {
		t.Error("exactly DirObject is hidden")
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a%file", "%2E%key", "%25key%key", "x\x00", strings.Repeat("%", 100), strings.Repeat("x", 256)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "/") {
			t.Skip()
		}
		checkComponent(t, s, names.Natural)
		checkComponent(t, s, names.File)
		if legal(s) {
			checkName(t, s)
		}
	})
}
