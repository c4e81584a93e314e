package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A workload is what a user does with ordinary programs. It leaves its files in w.dir, where
// the runner compares them with what the foreign client sees.
type workload struct {
	name string
	run  func(w *workspace)
}

var workloads = []workload{
	{"cp -a there and back", copyTree},
	{"tar x", extractTar},
	{"tar c to a file", createTar},
	{"rsync -a", syncTree},
	{"sed -i", editInPlace},
	{"zip and unzip", zipTree},
	{"dd conv=fsync", writeWithFsync},
	{"tail -f", followFile},
	{"save by rename", saveByRename},
	{"append and truncate", appendAndTruncate},
	{"overwrite in the middle", overwriteMiddle},
	{"shared mapping", writeMapped},
	{"cp killed over a file", interruptedCopy},
	{"rename and remove trees", renameTrees},
	{"many writers", manyWriters},
	{"git", useGit},
	{"sqlite3", useSQLite},
	{"go build", buildGo},
}

func copyTree(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`cp -a "$SRC/tree" copy
	      cp -a copy "$SRC/back"`)
	want := mustTree(w, src)
	compareTrees(w, mustTree(w, w.path("copy")), want, 0)
	compareTrees(w, mustTree(w, filepath.Join(w.scratch, "back")), want, 0)
}

func extractTar(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`tar -C "$SRC" -cf "$SRC/tree.tar" tree
	      tar xf "$SRC/tree.tar"
	      tar df "$SRC/tree.tar"`)
	// A tar of the classic format keeps whole seconds.
	compareTrees(w, mustTree(w, w.path("tree")), mustTree(w, src), mtimes)
}

func createTar(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`tar -C "$SRC/tree" -c . | cat > tree.tar
	      mkdir "$SRC/back"
	      tar -C "$SRC/back" -xf tree.tar`)
	compareTrees(w, mustTree(w, filepath.Join(w.scratch, "back")), mustTree(w, src), mtimes)
}

func syncTree(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`rsync -a "$SRC/tree/" copy/`)
	compareTrees(w, mustTree(w, w.path("copy")), mustTree(w, src), 0)
	// Kept times and sizes mean that a second run finds nothing to send.
	if out := w.sh(`rsync -ai "$SRC/tree/" copy/`); strings.Contains(out, ">f") {
		w.Errorf("a second rsync sends files again:\n%s", out)
	}
	w.sh(`echo more >> "$SRC/tree/private"
	      rm "$SRC/tree/bin/tool.sh"
	      rm -r "$SRC/tree/src/pkg3"
	      rsync -a --delete "$SRC/tree/" copy/`)
	compareTrees(w, mustTree(w, w.path("copy")), mustTree(w, src), 0)
}

func editInPlace(w *workspace) {
	w.sh(`mkdir d; seq 1 20000 > d/numbers; chmod 640 d/numbers
	      sed -i 's/^1\(.*\)7$/seven \1/' d/numbers
	      seq 1 20000 | sed 's/^1\(.*\)7$/seven \1/' | cmp - d/numbers
	      test "$(stat -c %a d/numbers)" = 640
	      test "$(ls -A d)" = numbers`)
}

func zipTree(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`rm "$SRC"/tree/names/tab* # zip drops control characters from names
	      cp -a "$SRC/tree" tree
	      zip -qry tree.zip tree
	      unzip -qt tree.zip
	      mkdir out
	      cd out
	      unzip -q ../tree.zip
	      zip -q ../tree.zip -d 'tree/src/*'`)
	compareTrees(w, mustTree(w, w.path("out/tree")), mustTree(w, src), mtimes) // two seconds in a zip
	if list := w.sh(`unzip -l tree.zip`); strings.Contains(list, "pkg1") {
		w.Errorf("zip -d left:\n%s", list)
	}
}

func writeWithFsync(w *workspace) {
	data := bytesOf(1, 5<<20+17)
	w.writeScratch("data", data, 0o644)
	w.sh(`dd if="$SRC/data" of=synced bs=64k conv=fsync status=none
	      dd if="$SRC/data" of=direct bs=1M oflag=sync status=none
	      dd if="$SRC/data" of=synced bs=4096 skip=10 seek=500 count=3 conv=notrunc,fdatasync status=none`)
	copy(data[500*4096:], bytes.Clone(data[10*4096:13*4096]))
	w.same("synced", data)
}

func followFile(w *workspace) {
	w.sh(`echo line 0 > log
	      timeout 60 tail -n +1 -f log > "$SRC/seen" & TAIL=$!
	      for i in $(seq 1 20); do echo "line $i" >> log; sleep 0.02; done
	      exec 3>>log; for i in $(seq 21 40); do echo "line $i" >&3; sleep 0.02; done; exec 3>&-
	      for i in $(seq 100); do if grep -qx 'line 40' "$SRC/seen"; then break; fi; sleep 0.1; done
	      kill $TAIL; wait $TAIL || true
	      seq 0 40 | sed 's/^/line /' | diff - "$SRC/seen"
	      diff log "$SRC/seen"`)
}

func saveByRename(w *workspace) {
	const script = `import os, sys
def save(name, text):                       # as vim, with backupcopy=no: the old file becomes name~
    if os.path.exists(name):
        os.rename(name, name + "~")
    with open(name, "w") as f:
        f.write(text); f.flush(); os.fsync(f.fileno())
    if os.path.exists(name + "~"):
        os.unlink(name + "~")
def replace(name, text):                    # as most others: a new file, synced and renamed over
    with open(name + ".tmp", "w") as f:
        f.write(text); f.flush(); os.fsync(f.fileno())
    os.chmod(name + ".tmp", 0o640)
    os.replace(name + ".tmp", name)
    d = os.open(".", os.O_RDONLY); os.fsync(d); os.close(d)
for i in range(5):
    save("a.txt", "version %d\n" % i * 1000)
    replace("b.txt", "version %d\n" % i * 1000)
    assert open("a.txt").read() == open("b.txt").read() == "version %d\n" % i * 1000, i
`
	w.writeScratch("save.py", []byte(script), 0o644)
	w.sh(`python3 "$SRC/save.py"
	      test "$(ls | tr '\n' ' ')" = "a.txt b.txt "
	      test "$(stat -c %a b.txt)" = 640`)
}

func appendAndTruncate(w *workspace) {
	w.sh(`for i in $(seq 1 50); do echo "$i" >> grows; done
	      seq 1 50 | cmp - grows
	      cp grows cut; truncate -s 20 cut; head -c 20 grows | cmp - cut
	      cp grows long; truncate -s 3M long; test "$(stat -c %s long)" = 3145728
	      (cat grows; head -c "$((3145728 - $(stat -c %s grows)))" /dev/zero) | cmp - long
	      echo tail >> long; test "$(tail -c 5 long)" = tail
	      : > emptied; echo text > emptied; : > emptied; test ! -s emptied
	      touch touched; test -f touched; fallocate -l 100000 allocated; test "$(stat -c %s allocated)" = 100000`)
}

func overwriteMiddle(w *workspace) {
	const size = 24 << 20
	data := bytesOf(7, size)
	w.writeScratch("big", data, 0o644)
	w.sh(`cp "$SRC/big" big`)
	for i, at := range []int{0, 11<<20 + 333, size - 100} {
		patch := bytesOf(uint64(50+i), 300_000)
		f, err := os.OpenFile(w.path("big"), os.O_RDWR, 0)
		if err != nil {
			w.Fatal(err)
		}
		if _, err := f.WriteAt(patch, int64(at)); err != nil {
			w.Fatal(err)
		}
		back := make([]byte, len(patch))
		if _, err := f.ReadAt(back, int64(at)); err != nil || !bytes.Equal(back, patch) {
			w.Errorf("reading back the patch at %d: %v", at, err)
		}
		if err := f.Close(); err != nil {
			w.Fatal(err)
		}
		if end := at + len(patch); end > len(data) {
			data = append(data, make([]byte, end-len(data))...)
		}
		copy(data[at:], patch)
	}
	w.same("big", data)
}

func writeMapped(w *workspace) {
	const script = `import mmap, os
with open("mapped", "wb") as f:
    f.truncate(1 << 20)
fd = os.open("mapped", os.O_RDWR)
m = mmap.mmap(fd, 1 << 20)
for i in range(0, 1 << 20, 4096):
    m[i:i+8] = b"%08d" % i
m.flush()
os.close(fd)
m[100:104] = b"late"                        # after the close, before the mapping goes
m.close()
data = open("mapped", "rb").read()
assert len(data) == 1 << 20 and data[4096:4104] == b"00004096" and data[100:104] == b"late"
`
	w.writeScratch("map.py", []byte(script), 0o644)
	w.sh(`python3 "$SRC/map.py"`)
}

// interruptedCopy kills a cp while it replaces a file: the store must keep the old object.
func interruptedCopy(w *workspace) {
	old := bytesOf(3, 2<<20)
	w.writeScratch("old", old, 0o644)
	w.sh(`cp "$SRC/old" kept
	      sync -d kept
	      mkfifo "$SRC/fifo"`)
	if !w.settled {
		w.eventually("the first version to be stored", func() bool { return w.objects()["kept"].SHA256 == digest(old) })
	}
	w.sh(`cp "$SRC/fifo" kept & CP=$!
	      exec 3> "$SRC/fifo"; head -c 20000000 /dev/urandom >&3
	      kill -TERM $CP; fails wait $CP; exec 3>&-`)
	if got := w.objects()["kept"]; got.SHA256 != digest(old) {
		w.Errorf("after a killed cp the store has %d bytes, not the %d of the old object", got.Size, len(old))
	}
	w.sh(`rm kept`) // the mount shows what was written; that is for the user to settle
}

func renameTrees(w *workspace) {
	src := w.sourceTree("tree")
	w.sh(`cp -a "$SRC/tree" one
	      mv one two
	      mkdir three
	      mv two three/
	      mv three/two/sizes/4096 three/two/sizes/renamed
	      mv three/two/sizes/renamed three/two/sizes/4096
	      cp -a three/two/src gone
	      rm -r gone
	      test ! -e gone
	      mkdir -p e/f
	      rmdir e/f
	      test -d e
	      rmdir e
	      fails rmdir three 2>/dev/null`)
	compareTrees(w, mustTree(w, w.path("three/two")), mustTree(w, src), 0)
	if err := syscall.Rmdir(w.path("three")); errno(err) != syscall.ENOTEMPTY {
		w.Errorf("rmdir of a full directory: %v, want ENOTEMPTY", err)
	}
}

// manyWriters has 16 programs write at once, some of them the same directory listing.
func manyWriters(w *workspace) {
	w.sh(`mkdir d
	      for i in $(seq 16); do (for j in $(seq 5); do seq "$i" 3000 > "d/$i-$j"; ls d >/dev/null; done) & done; wait
	      test "$(ls d | wc -l)" = 80
	      for i in $(seq 16); do for j in $(seq 5); do seq "$i" 3000 | cmp - "d/$i-$j"; done; done`)
}
