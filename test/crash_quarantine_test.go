package test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCrashQuarantine damages what a killed mount has left: strangers among the data files, a record in the middle of the journal, one at its
// end. The next mount keeps (but for empty data files, which have nothing to keep) what it does not understand, byte by byte, lists it, and stores everything else.
func TestCrashQuarantine(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=background"}, noisy: "quarantine|damaged|interrupted|journal"})
	p.on(&rule{match: operations("PutObject"), hold: make(chan struct{})})
	const files = 6
	content := func(i int) []byte { return bytesOf(uint64(100+i), 50_000) }
	for i := range files {
		write(t, m.in(fmt.Sprintf("f%d", i)), string(content(i)))
	}
	time.Sleep(1500 * time.Millisecond) // data and journal are synced, so damage is not taken for a torn end
	m.kill()
	p.clear()

	area := m.staging(t)
	strangers := map[string][]byte{"stranger": []byte("somebody's bytes"), "00000000deadbeef": bytesOf(3, 10_000)}
	for name, data := range strangers {
		if err := os.WriteFile(filepath.Join(area, "data", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	piece := damageJournal(t, filepath.Join(area, "journal"), "f2")

	m = m.again()
	m.mustCtl("flush", ".")
	all := quarantined(t, m)
	has := func(want []byte) bool {
		return slices.ContainsFunc(all, func(data []byte) bool { return bytes.Equal(data, want) })
	}
	for name, data := range strangers {
		if !has(data) {
			t.Errorf("%s is not in quarantine, which has %d files", name, len(all))
		}
	}
	if !slices.ContainsFunc(all, func(data []byte) bool { return bytes.Contains(data, piece) }) {
		t.Errorf("the damaged record is not in quarantine, which has %d files", len(all))
	}
	waits := m.pending(".")
	m.unmount()
	objects := s.snapshot(t, bucket, "")
	for i := range files {
		name := fmt.Sprintf("f%d", i)
		if i != 2 && objects[name].SHA256 != digest(content(i)) {
			t.Errorf("%s: the store has %d bytes of another content", name, objects[name].Size)
		}
	}
	// The file whose record is damaged is stored, or its bytes are kept.
	if objects["f2"].SHA256 != digest(content(2)) && !has(content(2)) &&
		!slices.ContainsFunc(waits, func(w waiting) bool {
			data, err := os.ReadFile(w.LocalFile)
			return err == nil && bytes.Equal(data, content(2))
		}) {
		t.Errorf("the bytes of f2 are nowhere: kept %+v, quarantine has %d files", waits, len(all))
	}
	tell(t, 1, files, len(strangers)+2)
}

// damageJournal changes bytes of the last record that has a name in it, puts what is no record behind the last one, and returns what
// is left of the first.
func damageJournal(t *testing.T, file, name string) (piece []byte) {
	t.Helper()
	journal, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(journal, []byte(name))
	if at < 0 {
		t.Fatalf("the journal has no record of %s", name)
	}
	piece = slices.Clone(journal[at-10 : at+len(name)])
	for i := range piece {
		piece[i] ^= byte(1 + rand.IntN(255))
	}
	copy(journal[at-10:], piece)
	journal = append(journal, "and this is no record at all"...)
	if err := os.WriteFile(file, journal, 0o600); err != nil {
		t.Fatal(err)
	}
	return piece
}

// quarantined are the contents of all files that a mount lists as quarantined.
func quarantined(t *testing.T, m *mount) (all [][]byte) {
	t.Helper()
	type kept struct {
		File string `json:"file"`
		Size int64  `json:"size"`
	}
	for _, k := range jsonLines[kept](t, m.mustCtl("quarantine", "list", "--json", ".")) {
		data, err := os.ReadFile(k.File)
		if err != nil || int64(len(data)) != k.Size || !strings.Contains(k.File, "/quarantine/") {
			t.Errorf("%+v: %d bytes, %v", k, len(data), err)
		}
		all = append(all, data)
	}
	return all
}

// staging is the directory of a mount's staging area.
func (m *mount) staging(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(m.options.state, "state/objmount/mounts/*/staging"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}
