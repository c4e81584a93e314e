package writeback

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
	"pgregory.net/rapid"
)

// plainFile is a staged file beside the plain buffer that it should be like.
type plainFile struct {
	file *staging.File
	key  string
	data []byte
}

func (p *plainFile) put(off int64, data []byte) {
	grown := make([]byte, max(int64(len(p.data)), off+int64(len(data))))
	copy(grown, p.data)
	copy(grown[off:], data)
	p.data = grown
}

// TestPlanGivesTheBytes: whatever is called (write, append, overwrite, truncate, copy_file_range within a file and from another, punch), what a store
// with these limits puts together from the parts of the plan is the plain buffer.
func TestPlanGivesTheBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "plans")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		lim := backend.Limits{
			MinPart: minPart, MaxPart: rapid.SampledFrom([]int64{2 * minPart, 13 * kib, 64 * kib}).Draw(t, "largest part"),
			MaxParts: rapid.SampledFrom([]int32{60, 1000}).Draw(t, "parts"), EqualParts: rapid.IntRange(0, 3).Draw(t, "equal parts") == 0,
		}
		partCopy := rapid.IntRange(0, 3).Draw(t, "part copy") > 0
		r := rigIn(t, dir, func(_ *rig, _ *Config, s *mem.Settings) {
			s.Capabilities.PartCopy, s.Capabilities.Versioned = partCopy, true // what is copied from stays when its file is stored
			l := &s.Capabilities.Limits
			l.MinPart, l.MaxPart, l.MaxParts, l.EqualParts = lim.MinPart, lim.MaxPart, lim.MaxParts, lim.EqualParts
		})
		defer r.close()
		first := random(1, rapid.Int64Range(1, 90*kib).Draw(t, "base"))
		files := []*plainFile{
			{file: r.edit(r.put("base", first)), key: "base", data: first}, {file: r.create("new"), key: "new"},
			{file: r.edit(r.put("other", random(2, 40*kib))), key: "other", data: random(2, 40*kib)},
		}
		for i := range rapid.IntRange(1, 14).Draw(t, "steps") {
			call(t, files, uint64(i))
		}
		for _, f := range files {
			r.mustCommit(f.file)
			if got := r.get(f.key); !bytes.Equal(got, f.data) {
				t.Fatalf("%s: the store has %d bytes, %d are right, and they differ", f.key, len(got), len(f.data))
			}
		}
	})
}

// call does what one system call does to a file.
func call(t *rapid.T, files []*plainFile, seed uint64) {
	f := rapid.SampledFrom(files).Draw(t, "file")
	size := int64(len(f.data))
	off := rapid.Int64Range(0, size).Draw(t, "off")
	n := rapid.SampledFrom([]int64{1, 100, 4096, minPart - 1, minPart, 9 * kib, 30 * kib}).Draw(t, "n")
	var err error
	switch rapid.IntRange(0, 6).Draw(t, "call") {
	case 0, 1: // overwrite, and write over the end
		data := random(seed, n)
		_, err = f.file.WriteAt(data, off)
		f.put(off, data)
	case 2: // append, or leave a hole
		at, data := size+rapid.SampledFrom([]int64{0, 0, 7, 6 * kib}).Draw(t, "hole"), random(seed, n)
		_, err = f.file.WriteAt(data, at)
		f.put(at, data)
	case 3:
		to := rapid.SampledFrom([]int64{off, 0, size + n}).Draw(t, "to")
		err = f.file.Truncate(to)
		grown := make([]byte, to)
		copy(grown, f.data)
		f.data = grown
	case 4:
		err = f.file.Punch(off, n)
		f.put(off, make([]byte, n))
	default: // copy_file_range
		from := rapid.SampledFrom(files).Draw(t, "source")
		if len(from.data) == 0 {
			return
		}
		at := rapid.Int64Range(0, int64(len(from.data))-1).Draw(t, "from")
		n := min(n*rapid.Int64Range(1, 3).Draw(t, "times"), int64(len(from.data))-at)
		if from == f && off < at+n && at < off+n {
			return // the kernel refuses ranges that overlap
		}
		err = f.file.CopyFrom(off, from.file, at, n)
		f.put(off, slices.Clone(from.data[at:at+n]))
	}
	if err != nil {
		t.Fatal(err)
	}
}
