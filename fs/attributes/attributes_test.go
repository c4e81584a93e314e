package attributes_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/fs/attributes"
	"pgregory.net/rapid"
)

func TestDialects(t *testing.T) {
	t.Parallel()
	at := time.Unix(1595002920, 0)
	for name, c := range map[string]struct {
		meta map[string]string
		want attributes.Attr
	}{
		"nothing": {map[string]string{"colour": "red"}, attributes.Attr{}},
		"FSx and DataSync": {
			map[string]string{"file-permissions": "0100644", "file-owner": "1001", "file-group": "33", "file-mtime": "1595002920000000000ns", "file-atime": "1595002920123456789ns"},
			attributes.Attr{Mode: 0o100644, UID: 1001, GID: 33, Mtime: at, Atime: at.Add(123456789), Has: attributes.Mode | attributes.UID | attributes.GID | attributes.Mtime | attributes.Atime},
		},
		"FSx without a unit is milliseconds": {map[string]string{"file-mtime": "1595002920005"}, attributes.Attr{Mtime: at.Add(5 * time.Millisecond), Has: attributes.Mtime}},
		"FSx symlink, target in the bytes":   {map[string]string{"file-permissions": "0120777"}, attributes.Attr{Mode: 0o120777, Has: attributes.Mode}},
		"permissions without a type":         {map[string]string{"file-permissions": "0644"}, attributes.Attr{Mode: 0o644, Has: attributes.Mode}},
		"s3fs": {
			map[string]string{"mode": "33188", "uid": "0", "gid": "5", "mtime": "1595002920", "atime": "1595002920.000000001", "ctime": "1"},
			attributes.Attr{Mode: 0o100644, GID: 5, Mtime: at, Atime: at.Add(1), Has: attributes.Mode | attributes.UID | attributes.GID | attributes.Mtime | attributes.Atime},
		},
		"s3fs directory":  {map[string]string{"mode": "16877"}, attributes.Attr{Mode: 0o040755, Has: attributes.Mode}},
		"s3fs symlink":    {map[string]string{"mode": "41471"}, attributes.Attr{Mode: 0o120777, Has: attributes.Mode}},
		"s3fs pipe":       {map[string]string{"mode": "4516"}, attributes.Attr{Mode: 0o010644, Has: attributes.Mode}},
		"s3fs octal":      {map[string]string{"mode": "0644"}, attributes.Attr{Mode: 0o644, Has: attributes.Mode}},
		"rclone float":    {map[string]string{"mtime": "1595002920.5"}, attributes.Attr{Mtime: at.Add(500 * time.Millisecond), Has: attributes.Mtime}},
		"rclone RFC 3339": {map[string]string{"mtime": "2020-07-17T18:22:00.25+02:00"}, attributes.Attr{Mtime: at.Add(250 * time.Millisecond), Has: attributes.Mtime}},
		"rclone metadata": {
			map[string]string{"mode": "100664", "uid": "500", "rdev": "801"},
			attributes.Attr{Mode: 0o100664, UID: 500, Rdev: 0x801, Has: attributes.Mode | attributes.UID | attributes.Rdev},
		},
		"rclone directory": {map[string]string{"mode": "40755"}, attributes.Attr{Mode: 0o040755, Has: attributes.Mode}},
		"geesefs device":   {map[string]string{"mode": "25008", "rdev": "2049"}, attributes.Attr{Mode: 0o060660, Rdev: 2049, Has: attributes.Mode | attributes.Rdev}},
		"geesefs symlink": {
			map[string]string{"--symlink-target": "../a%20b"},
			attributes.Attr{Symlink: "../a b", Has: attributes.Symlink},
		},
		"before 1970":        {map[string]string{"file-mtime": "-1500000000ns", "atime": "-1.5"}, attributes.Attr{Mtime: time.Unix(-2, 5e8), Atime: time.Unix(-2, 5e8), Has: attributes.Mtime | attributes.Atime}},
		"FSx before dialect": {map[string]string{"file-owner": "1", "uid": "2"}, attributes.Attr{UID: 1, Has: attributes.UID}},
		"broken FSx value":   {map[string]string{"file-owner": "root", "uid": "2"}, attributes.Attr{UID: 2, Has: attributes.UID}},
		"garbage": {
			map[string]string{
				"file-permissions": "rw-r--r--", "mode": "99999999", "uid": "-1", "gid": "4294967295", "mtime": "yesterday", "atime": "1.", "file-mtime": "ns",
				"file-atime": "1e9ns", "symlink-target": "%zz", "rdev": "xyz", "file-rdev": "1",
			}, attributes.Attr{},
		},
	} {
		got := attributes.Decode(c.meta)
		if got.Has != c.want.Has {
			t.Errorf("%s: Has = %b, want %b", name, got.Has, c.want.Has)
			continue
		}
		if diff := cmp.Diff(present(c.want), present(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got.Has.Has(attributes.Symlink) && got.Mode != attributes.TypeLink|0o777 {
			t.Errorf("%s: a target without a mode gives %o", name, got.Mode)
		}
	}
}

// present clears what Has does not name and the locations of times.
func present(a attributes.Attr) attributes.Attr {
	out := attributes.Attr{Has: a.Has}
	if a.Has.Has(attributes.Mode) {
		out.Mode = a.Mode
	}
	if a.Has.Has(attributes.UID) {
		out.UID = a.UID
	}
	if a.Has.Has(attributes.GID) {
		out.GID = a.GID
	}
	if a.Has.Has(attributes.Mtime) {
		out.Mtime = a.Mtime.UTC()
	}
	if a.Has.Has(attributes.Atime) {
		out.Atime = a.Atime.UTC()
	}
	if a.Has.Has(attributes.Symlink) {
		out.Symlink = a.Symlink
	}
	if a.Has.Has(attributes.Rdev) {
		out.Rdev = a.Rdev
	}
	return out
}

func drawAttr(t *rapid.T) attributes.Attr {
	instant := func(label string) time.Time {
		sec := rapid.OneOf(rapid.Int64Range(-1<<55, 1<<55), rapid.Int64Range(-3, 3), rapid.Int64Range(0, 4e9)).Draw(t, label)
		return time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, label+" ns"))
	}
	types := []uint32{
		attributes.TypeSocket, attributes.TypeLink, attributes.TypeFile, attributes.TypeBlock, attributes.TypeDir, attributes.TypeChar, attributes.TypePipe,
	}
	a := attributes.Attr{
		Has:     attributes.Field(rapid.IntRange(0, 127).Draw(t, "has")),
		Mode:    rapid.SampledFrom(types).Draw(t, "type") | rapid.Uint32Range(0, attributes.PermMask).Draw(t, "permissions"),
		UID:     rapid.Uint32Range(0, math.MaxUint32-1).Draw(t, "uid"),
		GID:     rapid.Uint32Range(0, math.MaxUint32-1).Draw(t, "gid"),
		Mtime:   instant("mtime"),
		Atime:   instant("atime"),
		Rdev:    rapid.Uint32().Draw(t, "rdev"),
		Symlink: string(rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 450).Draw(t, "target")),
	}
	if a.Has.Has(attributes.Symlink) {
		a.Mode = attributes.TypeLink | 0o777
	}
	return a
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// What another program and an earlier write left.
		meta := map[string]string{
			"colour": "red", "mode": "100600", "uid": "7", "gid": "7", "mtime": "7", "atime": "7", "rdev": "7a", "--symlink-target": "old",
		}
		attributes.Encode(meta, drawAttr(t))
		before := attributes.Decode(meta)
		a := drawAttr(t)
		attributes.Encode(meta, a)
		if a.Has.Has(attributes.Symlink) && attributes.Decode(meta).Has&attributes.Symlink == 0 {
			if len(a.Symlink)*3 <= attributes.MaxTarget {
				t.Fatalf("a target of %d bytes is not written", len(a.Symlink))
			}
			a.Has &^= attributes.Symlink
			before.Has &^= attributes.Symlink
		}
		for key, value := range meta {
			if len(value) > 256 {
				t.Fatalf("%s has %d bytes", key, len(value))
			}
			if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) || value == "" {
				t.Fatalf("%s=%q is not printable ASCII", key, value)
			}
		}
		if meta["colour"] != "red" {
			t.Fatal("foreign metadata was touched")
		}
		got := attributes.Decode(meta)
		if got.Has != before.Has|a.Has {
			t.Fatalf("has %b, want %b", got.Has, before.Has|a.Has)
		}
		kept := got
		got.Has, kept.Has = a.Has, before.Has&^a.Has
		want := before
		want.Has = kept.Has
		if diff := cmp.Diff(present(a), present(got)); diff != "" {
			t.Fatal("written: " + diff)
		}
		want.Mode, kept.Mode = 0, 0
		if diff := cmp.Diff(present(want), present(kept)); diff != "" {
			t.Fatal("kept: " + diff)
		}
	})
}

func TestExactFormats(t *testing.T) {
	t.Parallel()
	meta := map[string]string{"mode": "33188", "uid": "5", "gid": "5", "mtime": "5", "atime": "5", "generation": "g"}
	attributes.Encode(meta, attributes.Attr{
		Mode: 0o100664, UID: 1000, GID: 100, Mtime: time.Unix(1595002920, 0), Atime: time.Unix(0, 5), Rdev: 0x801, Symlink: "a é",
		Has: attributes.Mode | attributes.UID | attributes.GID | attributes.Mtime | attributes.Atime | attributes.Rdev | attributes.Symlink,
	})
	want := map[string]string{
		"file-permissions": "0100664", "file-owner": "1000", "file-group": "100", "file-mtime": "1595002920000000000ns", "file-atime": "5ns",
		"file-rdev": "8:1", "symlink-target": "a%20%C3%A9", "generation": "g",
	}
	if diff := cmp.Diff(want, meta); diff != "" {
		t.Error(diff)
	}
	for key := range meta {
		if attributes.Owned(key) != (key != "generation") {
			t.Errorf("Owned(%q) = %v", key, attributes.Owned(key))
		}
	}
	if !attributes.Owned("symlink-target-12") || attributes.Owned("symlink-target-x") || attributes.Owned("mtime") {
		t.Error("Owned is about our own keys")
	}
}

func TestShorterTargetLeavesNothing(t *testing.T) {
	t.Parallel()
	meta := map[string]string{}
	attributes.Encode(meta, attributes.Attr{Symlink: strings.Repeat("é", 150), Has: attributes.Symlink})
	if len(meta) != 5 {
		t.Fatalf("900 bytes in %d values", len(meta))
	}
	attributes.Encode(meta, attributes.Attr{Symlink: "short", Has: attributes.Symlink})
	if diff := cmp.Diff(map[string]string{"symlink-target": "short"}, meta); diff != "" {
		t.Error(diff)
	}
}

func TestLongTargetLeavesNothing(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{attributes.MaxTarget: 6, attributes.MaxTarget + 1: 0} {
		meta := map[string]string{"symlink-target": "old", "symlink-target-2": "er"}
		attributes.Encode(meta, attributes.Attr{Symlink: strings.Repeat("x", length), Has: attributes.Symlink})
		if len(meta) != want {
			t.Errorf("%d bytes in %d values, want %d", length, len(meta), want)
		}
	}
}

func TestWhatCannotBeWrittenIsRemoved(t *testing.T) {
	t.Parallel()
	meta := map[string]string{"file-owner": "1", "file-mtime": "1ns", "symlink-target": "x"}
	attributes.Encode(meta, attributes.Attr{
		UID: math.MaxUint32, Mtime: time.Unix(math.MaxInt64>>1+2, 0), Has: attributes.UID | attributes.Mtime | attributes.Symlink,
	})
	if len(meta) != 0 {
		t.Errorf("left: %v", meta)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("0100644", "33188", "1595002920000000000ns", "1.5", "%41", "8:1")
	f.Fuzz(func(t *testing.T, perm, mode, ns, sec, target, dev string) {
		meta := map[string]string{"file-permissions": perm, "mode": mode, "file-mtime": ns, "atime": sec, "symlink-target": target, "rdev": dev}
		a := attributes.Decode(meta)
		again := map[string]string{}
		attributes.Encode(again, a)
		if b := attributes.Decode(again); !cmp.Equal(present(a), present(b)) {
			t.Fatalf("%v: %s", meta, cmp.Diff(present(a), present(b)))
		}
	})
}
