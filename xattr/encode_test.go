package xattr

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawName draws what may follow "user." on Linux.
func drawName(t *rapid.T, label string) string {
	anyByte := rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 240), func(b []byte) string { return string(b) })
	usual := rapid.StringMatching(`[a-zA-Z._-]{1,12}[zmu0-9-]{0,4}`)
	return rapid.OneOf(anyByte, usual).Draw(t, label)
}

func drawValue(t *rapid.T, label string) []byte {
	anyByte := rapid.SliceOfN(rapid.Byte(), 0, 900)
	plain := rapid.Map(rapid.StringMatching(`[ -~]{0,600}`), func(s string) []byte { return []byte(s) })
	marked := rapid.Map(rapid.StringMatching(`(base64:|=\?)[A-Za-z0-9+/=]{0,20}`), func(s string) []byte { return []byte(s) })
	return rapid.OneOf(anyByte, plain, marked).Draw(t, label)
}

// What every store keeps: VersityGW and MinIO keep all characters of tokens but turn upper case into
// lower; Ceph and Swift turn "_" into "-"; proxies drop headers with others than letters, digits and "-"
// (nginx, ignore_invalid_headers).
func TestKeysAndValuesThatEveryStoreKeeps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name, value := drawName(t, "name"), drawValue(t, "value")
		meta := map[string]string{"colour": "red"}
		setPieces(meta, name, drawValue(t, "old"))
		setPieces(meta, name, value)
		for key, piece := range meta {
			if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
				t.Fatalf("key %q", key)
			}
			if piece == "" || len(piece) > 256 || !plainASCII(piece) || strings.TrimSpace(piece) != piece || sent(piece) != piece {
				t.Fatalf("%s=%q", key, piece)
			}
			if got, _, ok := decodeName(key); ok != (key != "colour") || ok && got != name {
				t.Fatalf("%q is read as %q, %v", key, got, ok)
			}
		}
		if got, found := joinPieces(meta, name); !found || string(got) != string(value) {
			t.Fatalf("%q became %q, %v", value, got, found)
		}
		if !deletePieces(meta, name) || !maps.Equal(meta, map[string]string{"colour": "red"}) {
			t.Fatalf("left: %v", meta)
		}
	})
}

func TestDistinctNamesHaveDistinctKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := drawName(t, "one")
		two := rapid.OneOf(rapid.Just(strings.ToUpper(one)), rapid.Just(strings.ReplaceAll(one, "_", "-")), rapid.Just(one+"-z2"), rapid.Custom(func(t *rapid.T) string {
			return drawName(t, "other")
		})).Draw(t, "two")
		if one == two {
			return
		}
		first, second := drawValue(t, "first"), drawValue(t, "second")
		meta := map[string]string{}
		setPieces(meta, one, first)
		setPieces(meta, two, second)
		if got, _ := joinPieces(meta, one); string(got) != string(first) {
			t.Fatalf("%q=%q became %q beside %q", one, first, got, two)
		}
		if got, _ := joinPieces(meta, two); string(got) != string(second) {
			t.Fatalf("%q=%q became %q beside %q", two, second, got, one)
		}
	})
}

// Every key is read as one name or none: the encoding of the name is the key again.
func TestForeignKeysAreNotNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.StringMatching(`xattr-[a-z0-9-]{0,12}`), rapid.String()).Draw(t, "key")
		if name, piece, ok := decodeName(key); ok && (pieceKey(name, piece) != key || name == "" || piece < 1) {
			t.Fatalf("%q is read as piece %d of %q, which is %q", key, piece, name, pieceKey(name, piece))
		}
	})
	for _, key := range []string{"xattr-", "xattr", "colour", "xattr--", "xattr-a-", "xattr-a-6", "xattr-a-61", "xattr-a-2E", "xattr-a-zz", "xattr-a-z", "xattr-a-z1", "xattr-a-z0",
		"xattr-a-z02", "xattr-a-z2-", "xattr-a_b", "xattr-A", "xattr--z2"} {
		if name, piece, ok := decodeName(key); ok {
			t.Errorf("%q is read as piece %d of %q", key, piece, name)
		}
	}
}

func TestExactEncoding(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"colour": "xattr-colour", "xdg.origin.url": "xattr-xdg--origin--url", "mime_type-2": "xattr-mime-utype-m2",
		"DOSATTRIB": "xattr--44-4f-53-41-54-54-52-49-42", ".": "xattr---", "é ": "xattr--c3-a9-20",
	} {
		if got := encodeName(name); got != key {
			t.Errorf("%q is written as %q, want %q", name, got, key)
		}
	}
	for value, kept := range map[string]string{
		"red": "red", "two words": "two words", "": "base64:", " lead": "base64:IGxlYWQ=", "a\x00b": "base64:YQBi", "é": "base64:w6k=",
		"base64:": "base64:YmFzZTY0Og==", "=?x": "base64:PT94", "a\tb": "base64:YQli",
	} {
		if got := encodeValue([]byte(value)); len(got) != 1 || got[0] != kept {
			t.Errorf("%q is kept as %q, want %q", value, got, kept)
		}
	}
	meta := map[string]string{}
	setPieces(meta, "long", []byte(strings.Repeat("x", 513)))
	if len(meta["xattr-long"]) != 256 || len(meta["xattr-long-z2"]) != 256 || meta["xattr-long-z3"] != "x" || len(meta) != 3 {
		t.Errorf("513 bytes are kept as %v", meta)
	}
}

func TestDamagedValuesAreShownAsTheyAre(t *testing.T) {
	t.Parallel()
	meta := map[string]string{"xattr-a": "base64:!", "xattr-b-z2": "alone", "xattr-c": "one", "xattr-c-z3": "three"}
	if got, found := joinPieces(meta, "a"); !found || string(got) != "base64:!" {
		t.Errorf("broken base64 is %q, %v", got, found)
	}
	if _, found := joinPieces(meta, "b"); found {
		t.Error("a second piece alone is a value")
	}
	if got, found := joinPieces(meta, "c"); !found || string(got) != "one" {
		t.Errorf("a gap is %q, %v", got, found)
	}
	for _, name := range []string{"a", "b", "c"} {
		deletePieces(meta, name)
	}
	if len(meta) != 0 {
		t.Errorf("left: %v", meta)
	}
}
