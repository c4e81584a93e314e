package staging

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestScratch: after a crash a scratch file is gone, whatever it was before, and its bytes with it; one that was sealed
// or opened again is what it says.
func TestScratch(t *testing.T) {
	t.Parallel()
	write := func(f *File) error { _, err := f.WriteAt([]byte("bytes"), 0); return err }
	more := func(f *File) error { _, err := f.WriteAt([]byte("more"), 3); return err }
	seal := func(f *File) error { _, err := f.Seal(true); return err }
	checkpoint := func(f *File) error { return f.checkpoint(true) }
	set := func(s State) func(*File) error { return func(f *File) error { return f.SetState(s, "") } }
	commit := func(f *File) error {
		s, err := f.Seal(false)
		if err == nil {
			_, err = f.Committed(s, &Remote{Source: backend.Source{Bucket: "b", Key: "k", ETag: "e"}, Size: s.Size})
			s.Release()
		}
		return err
	}
	scratch := set(StateScratch)
	for name, c := range map[string]struct {
		steps []func(*File) error
		want  string
	}{
		"from the beginning":           {[]func(*File) error{scratch, write}, ""},
		"from the beginning, with map": {[]func(*File) error{scratch, write, checkpoint, more}, ""},
		"open":                         {[]func(*File) error{write, scratch}, ""},
		"open, with map":               {[]func(*File) error{write, checkpoint, scratch, more, checkpoint}, ""},
		"sealed":                       {[]func(*File) error{write, seal, scratch}, ""},
		"sealed, written since":        {[]func(*File) error{write, seal, more, checkpoint, scratch, more}, ""},
		"committed":                    {[]func(*File) error{write, commit, scratch, more, checkpoint}, ""},
		"twice":                        {[]func(*File) error{write, seal, scratch, more, scratch, checkpoint}, ""},
		"not any more":                 {[]func(*File) error{write, scratch, set(StateOpen), more, checkpoint}, "interrupted bytmore"},
		"sealed again":                 {[]func(*File) error{write, seal, scratch, more, seal}, "sealed bytmore"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := simArea(t, newSimDisk(), 0)
			f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}})
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range c.steps {
				if err := step(f); err != nil {
					t.Fatal(i, err)
				}
			}
			for range 2 { // what a start decided, the next one does not change
				a = reopen(t, a)
				got := ""
				for _, f := range a.Files() {
					got += f.State().String() + " " + text(t, f)
				}
				if got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				if left := a.disk.(*simDisk).files(a.dataDir); c.want == "" && (len(left) > 0 || a.Usage() != Usage{}) {
					t.Errorf("data %v, %+v", left, a.Usage())
				}
			}
		})
	}
}

// TestScratchAndPower: what follows a promise in the journal does not outlive it: a file whose deletion was promised
// before it became scratch is gone only if that promise is there.
func TestScratchAndPower(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for seed := range uint64(300) {
		disk := newSimDisk()
		a := simArea(t, disk, 0)
		f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("bytes"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seal(true); err != nil {
			t.Fatal(err)
		}
		if _, err := a.AddIntent("delete", []byte("k"), false); err != nil {
			t.Fatal(err)
		}
		if err := f.SetState(StateScratch, ""); err != nil {
			t.Fatal(err)
		}
		halt(a)
		b := simArea(t, disk.crash(rand.New(rand.NewPCG(seed, 1))), 0)
		var states []string
		for _, f := range b.Files() {
			states = append(states, f.State().String())
		}
		switch got := fmt.Sprint(len(b.Intents()), states); {
		case slices.Contains([]string{"0 [sealed]", "1 [sealed]", "1 []"}, got):
			seen[got]++
		default:
			t.Errorf("seed %d: promises and files %s", seed, got)
		}
		halt(b)
	}
	if len(seen) < 2 {
		t.Errorf("only %v", seen)
	}
}
