package disk

import (
	"bytes"
	"log/slog"
	"testing"
)

// TestOpenFilesAreBounded: of large objects in use only so many have their files open; the others are not cached until some of
// those are closed, which is no trouble and no warning.
func TestOpenFilesAreBounded(t *testing.T) {
	t.Parallel()
	const most, all, size = 4, 10, packedMax + PieceSize
	var said warnings
	tier, err := Open(Config{Dir: t.TempDir(), Limit: 1 << 30, Queue: 64 << 20, Log: slog.New(slog.NewTextHandler(&said, nil)), OpenFiles: most})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	waitScan(t, tier)
	key := func(i int) Key { return Key{Bucket: "b", Key: string(rune('a' + i)), ETag: "1", Size: size} }
	content := bytes.Repeat([]byte("x"), size)
	for round := range 2 {
		var files []*File
		cached := 0
		for i := range all {
			f := tier.File(key(i))
			files = append(files, f)
			f.Write(0, content)
			if f.Present(0, size) == size {
				cached++
			}
		}
		if n := tier.pairs.Load(); n != most || cached != most {
			t.Errorf("round %d: %d objects have files open, and %d are cached, not %d", round, n, cached, most)
		}
		for _, f := range files {
			f.Release()
		}
		if n := tier.pairs.Load(); n != most/2 {
			t.Errorf("round %d: %d objects have files open that nobody uses, not %d", round, n, most/2)
		}
	}
	if said.count() != 0 || !tier.writable() {
		t.Errorf("the log says %s", said.text.String())
	}
	last := tier.File(key(all - 1))
	defer last.Release()
	if !last.Write(0, content) {
		t.Error("when files are closed another object is not cached")
	}
}
