package staging

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// seededDisk is a disk with some sealed files, all durable, and the bytes of each by id.
func seededDisk(t *testing.T, files int) (*simDisk, map[string][]byte) {
	t.Helper()
	disk := newSimDisk()
	a, err := open(Config{Dir: "area", Disk: disk}, idle())
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string][]byte)
	for i := range files {
		f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: fmt.Sprint("key", i)}})
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte{byte(i + 1)}, 100+i)
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		s, err := f.Seal(false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		want[f.ID()] = data
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, want
}

// contents reads all sealed files.
func contents(t *testing.T, a *Area) map[string][]byte {
	t.Helper()
	got := make(map[string][]byte)
	for _, f := range a.Files() {
		if f.State() != StateSealed {
			continue
		}
		p := make([]byte, f.Size())
		if _, err := f.Reader(f.Extents(0, f.Size())).Read(p); err != nil {
			t.Fatal(err)
		}
		got[f.ID()] = p
	}
	return got
}

// TestDamage flips every byte of the journal after its header: at most one file is lost, never is one
// different, and what is not understood is in quarantine.
func TestDamage(t *testing.T) {
	t.Parallel()
	disk, want := seededDisk(t, 4)
	segment := disk.dirs["area"].names["journal"].data
	size, last := len(segment), len(segment)-frameSize // the last record may as well have been torn
	for _, boot := range []int{1, 2} {
		for at := range size {
			d := disk.kill()
			d.boot = boot
			d.dirs["area"].names["journal"].data[at] ^= 0x10
			a, err := open(Config{Dir: "area", Disk: d}, idle())
			if at < headerSize && isFormat(err) {
				continue // it looks like another version
			}
			if err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			got := contents(t, a)
			for id, data := range got {
				if !bytes.Equal(data, want[id]) {
					t.Fatalf("byte %d: file %s has other bytes", at, id)
				}
			}
			if len(got) < len(want)-1 {
				t.Fatalf("byte %d: %d of %d files left", at, len(got), len(want))
			}
			missing := len(want) - len(got)
			if q := a.Usage().Quarantined; at >= headerSize && at < last && q == 0 || missing == 1 && q == 0 {
				t.Fatalf("byte %d: nothing is in quarantine", at)
			}
			for id, data := range want { // no byte of local data is gone
				if got[id] == nil && !held(d, data) {
					t.Fatalf("byte %d: the data of file %s is gone", at, id)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func isFormat(err error) bool { return backend.IsKind(err, backend.KindUnsupported) }

// held tells whether any data file, or one in quarantine, has the bytes.
func held(d *simDisk, data []byte) bool {
	for _, dir := range []string{"area/data", "area/quarantine"} {
		for _, n := range d.dirs[dir].names {
			if bytes.Equal(n.data, data) {
				return true
			}
		}
	}
	return false
}

func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	disk, want := seededDisk(t, 2)
	node := disk.dirs["area"].names["journal"]
	before := slices.Clone(node.data)
	copy(node.data, headerText+"7\n")
	_, err := open(Config{Dir: "area", Disk: disk}, idle())
	if !isFormat(err) || !strings.Contains(err.Error(), "format 7") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatal(err)
	}
	if got := len(disk.dirs["area/data"].names); got != 2 || len(disk.dirs["area/quarantine"].names) != 0 {
		t.Fatal("files were touched")
	}
	copy(node.data, before) // the lock was given back, and the right version finds everything
	a, err := open(Config{Dir: "area", Disk: disk}, idle())
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, a); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Fatal("files are not there any more")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOrphans: files that the journal does not know are kept aside; empty ones have nothing to keep.
func TestOrphans(t *testing.T) {
	t.Parallel()
	disk, want := seededDisk(t, 1)
	for name, data := range map[string]string{"stranger": "bytes", "empty": ""} {
		f, err := disk.Open("area/data/"+name, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(data), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second start finds nothing new
		a, err := open(Config{Dir: "area", Disk: disk}, idle())
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(t, a); len(got) != len(want) || a.Usage().Quarantined != 1 {
			t.Fatalf("%d files, %+v", len(got), a.Usage())
		}
		if got, err := a.Quarantined(); err != nil || len(got) != 1 || got[0] != (Quarantined{Path: "area/quarantine/data-stranger", Size: 5}) {
			t.Fatalf("quarantined: %+v, %v", got, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(disk.dirs["area/quarantine"].names["data-stranger"].data); got != "bytes" {
		t.Fatalf("quarantine has %q", got)
	}
	if n := len(disk.dirs["area/data"].names); n != 1 {
		t.Fatalf("%d files in data", n)
	}
}

// TestMissingData: a promise whose bytes are gone is shown as interrupted, and reading is an error.
func TestMissingData(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func(*simDir, string){
		"removed": func(d *simDir, n string) { delete(d.names, n) },
		"short":   func(d *simDir, n string) { d.names[n].data = d.names[n].data[:50] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, want := seededDisk(t, 1)
			id := slices.Collect(maps.Keys(want))[0]
			hurt(disk.dirs["area/data"], id)
			a, err := open(Config{Dir: "area", Disk: disk}, idle())
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			f := a.Files()[0]
			if f.State() != StateInterrupted || f.Reason() != reasonMissing {
				t.Fatal(f.State(), f.Reason())
			}
			_, err = f.ReadLocal(f.Extents(0, 100)[0], make([]byte, 100), 0)
			if !backend.IsKind(err, backend.KindCorrupt) {
				t.Fatal("read of missing bytes: ", err)
			}
		})
	}
}
