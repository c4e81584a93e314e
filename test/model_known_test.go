package test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// knownDifferences are the calls to which a mount answers otherwise than a plain directory, and why. answer makes
// what the mount has to say of what the directory said.
var knownDifferences = map[string]struct {
	reason string
	answer func(plain *actor, c call, said, got string) string
}{
	"link": {
		reason: "an object has one key (fs/SEMANTICS.md)",
		answer: func(_ *actor, _ call, said, _ string) string { return insteadOf(said, "ok made and removed", "EPERM") },
	},
	"noreplace": {
		reason: "these stores have no condition on a copy's destination: only what is not stored yet can be renamed so (fs/SEMANTICS.md)",
		answer: func(_ *actor, _ call, said, got string) string {
			if got == "EINVAL" {
				return insteadOf(said, "ok and back", "EINVAL")
			}
			return said
		},
	},
	"exchange": {
		reason: "a store has no such request (fs/SEMANTICS.md)",
		answer: func(_ *actor, c call, said, _ string) string {
			if c.a == c.b { // that is nothing for the kernel to ask about
				return said
			}
			return insteadOf(said, "ok and back", "EINVAL")
		},
	},
	"hkeepsize": {
		reason: "an object has no space beyond its end (fs/SEMANTICS.md)",
		answer: func(_ *actor, _ call, said, _ string) string { return insteadOf(said, "ok", "ENOTSUP") },
	},
	"hseek": {
		reason: "a hole is zeros in the object: all is data up to the end (fs/SEMANTICS.md)",
		answer: func(plain *actor, c call, said, _ string) string {
			isFile, size, err := sizeOf(plain.files[c.handle])
			switch {
			case err != nil || !isFile:
				return said
			case c.off >= int64(size):
				return "ENXIO"
			case whence(c) == unix.SEEK_HOLE:
				return outcome(nil, size)
			}
			return outcome(nil, c.off)
		},
	},
}

func insteadOf(said, one, other string) string {
	if said == one {
		return other
	}
	return said
}

// expected is what the mount has to answer when the plain directory said that. It may depend on what the mount answered where it has a choice.
func (a *actor) expected(c call, said, got string) string {
	if d, ok := knownDifferences[c.what]; ok {
		return d.answer(a, c, said, got)
	}
	return said
}

// TestKnownDifferences: what the table says is so.
func TestKnownDifferences(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	m := newMount(t, mountOptions{store: s, source: "s3://" + s.newBucket(t)})
	ours, theirs := newActor(m.dir+"/case"), newActor(t.TempDir()+"/case")
	defer ours.close()
	defer theirs.close()
	for _, c := range []call{
		{what: "mkdir", a: "d"},
		{what: "put", a: "b", n: 10},
		{what: "exchange", a: "b", b: "d"},
		{what: "open", a: "a", flags: unix.O_EXCL, handle: 1},
		{what: "htruncate", handle: 1, n: 1 << 20},
		{what: "link", a: "a", b: "y"},
		{what: "hkeepsize", handle: 1, off: 1 << 20, n: 4096},
		{what: "hseek", handle: 1, off: 1},
		{what: "noreplace", a: "b", b: "x"},
	} {
		got, said := ours.do(c), theirs.do(c)
		want := theirs.expected(c, said, got)
		if got != want {
			t.Errorf("%v: the mount answers %s, want %s", c, got, want)
		}
		if d, ok := knownDifferences[c.what]; ok && got == said {
			t.Errorf("%v: a plain directory answers the same; remove it from the table (%s)", c, d.reason)
		}
	}
	for c, want := range map[call]string{{what: "noreplace", a: "a", b: "x"}: "ok and back", {what: "noreplace", a: "a", b: "b"}: "EEXIST"} {
		if got := ours.do(c); got != want {
			t.Errorf("%v, of a file that is not stored: %s, want %s", c, got, want)
		}
	}
}
