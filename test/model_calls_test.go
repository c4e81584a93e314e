package test

import (
	"crypto/sha3"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"pgregory.net/rapid"
)

// A call is one system call, or a few that belong together. Which fields count depends on what; testdata/replay.py
// has the same calls.
type call struct {
	what   string
	a, b   string // names, relative
	flags  int    // of open
	handle int    // one of the files that are held open
	other  int    // another one
	off    int64
	n      int
	seed   uint64 // of bytes, and of what else has a choice
}

func (c call) String() string {
	return fmt.Sprintf("%s(%q, %q, %#x, %d, %d, %d, %d, %d)", c.what, c.a, c.b, c.flags, c.handle, c.other, c.off, c.n, c.seed)
}

const handles = 4

// weights of calls. Those that begin with h are on a file that is held open, those of modelEvents are not calls of a
// program and must change nothing.
var weights = map[string]int{
	"put": 20, "append": 10, "twoappend": 10, "truncate": 10, "read": 20, "stat": 20, "rename": 25, "unlink": 10, "mkdir": 20,
	"rmdir": 10, "readdir": 10, "symlink": 10, "readlink": 10, "chmod": 10, "chown": 10, "copy": 10, "link": 3,
	"noreplace": 5, "exchange": 2,
	"utimens": 10, "setxattr": 10, "getxattr": 10, "listxattr": 10, "removexattr": 5,
	"open": 40, "hwrite": 40, "hread": 20, "htruncate": 10, "hfsync": 10, "hstat": 20, "hclose": 30, "hdup": 10,
	"hmapread": 10, "hmapwrite": 10, "hcopy": 20, "hfallocate": 10, "hpunch": 10, "hzero": 5, "hkeepsize": 3, "hseek": 5,
	"hchmod": 5, "hchown": 5, "hutimens": 5, "hsetxattr": 5, "hlistxattr": 5, "hforget": 5,
}

var modelNames = []string{"a", "b", "ab", "a.b", "d", "d/a", "d/b", "d/e", "d/e/a", "d-", "x"}

// callGenerator makes calls on few names, so that they meet; some of them in directories that are there from the start (firstCalls).
func callGenerator(weights map[string]int) *rapid.Generator[call] {
	folders := []string{"d", "d/e", "d-", "x"}
	sizes := slices.Repeat([]int{0, 1, 10, 100, 4095, 4096, 5000, 12_345, 70_000, 70_001, 131_072}, 3)
	sizes = append(sizes, 1<<20, 5<<20+1) // they take most of the time
	flags := []int{0, 0, os.O_TRUNC, os.O_APPEND, os.O_EXCL, os.O_TRUNC | os.O_EXCL, os.O_TRUNC | os.O_APPEND}
	var whats []string
	for what, weight := range sortedMap(weights) {
		for range weight {
			whats = append(whats, what)
		}
	}
	return rapid.Custom(func(t *rapid.T) call {
		c := call{
			what:   rapid.SampledFrom(whats).Draw(t, "what"),
			a:      rapid.SampledFrom(modelNames).Draw(t, "a"),
			b:      rapid.SampledFrom(modelNames).Draw(t, "b"),
			flags:  rapid.SampledFrom(flags).Draw(t, "flags"),
			handle: rapid.IntRange(0, handles-1).Draw(t, "handle"),
			other:  rapid.IntRange(0, handles-1).Draw(t, "other"),
			off:    int64(rapid.SampledFrom(sizes).Draw(t, "off")),
			n:      rapid.SampledFrom(sizes).Draw(t, "n"),
			seed:   rapid.Uint64Range(0, 1000).Draw(t, "seed"),
		}
		if c.what == "mkdir" || c.what == "rmdir" {
			c.a = rapid.SampledFrom(folders).Draw(t, "folder")
		}
		return c
	})
}

// sequences makes lists of about 80 calls. A list of lists, because rapid's lists are short, and because whole lists can be left
// out when it looks for the shortest that fails.
func sequences(weights map[string]int) *rapid.Generator[[]call] {
	lists := rapid.SliceOfN(rapid.SliceOfN(callGenerator(weights), 0, 40), 8, 40)
	return rapid.Map(lists, func(lists [][]call) []call {
		calls := []call{{what: "mkdir", a: "d"}}
		for _, l := range lists {
			calls = append(calls, l...)
		}
		return calls
	})
}

// contentOf gives n bytes of which no two blocks are the same, and which a script can make as well.
func contentOf(seed uint64, n int) []byte {
	h := sha3.NewSHAKE128()
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, seed)) // neither ever fails
	out := make([]byte, n)
	_, _ = h.Read(out)
	return out
}
