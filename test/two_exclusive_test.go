package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// An exclusiveRace is a way to be the first to have a name.
type exclusiveRace struct {
	name string
	// take tries to be the first; mine is what the file shall hold. Nil: it has won.
	take func(name, mine string) error
	// atOnce: decided by the call itself, so that the others get EEXIST and have left nothing. Else those of the other mount get ESTALE at close
	// or fsync, and what they wrote is kept. withOpen: so with --exclusive-create=open only.
	atOnce, withOpen bool
	unwaited         bool // without that, a mount that stores in the background does not ask the store: two may have won
	empty            bool // what is made has no content
}

var exclusiveRaces = []exclusiveRace{
	{name: "O_EXCL", withOpen: true, take: func(name, mine string) error {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		return finishWith(f, mine)
	}},
	{name: "noclobber", withOpen: true, take: func(name, mine string) error {
		// The shell forgets the error of close; sync does not, and gets the file that the shell has opened.
		text, err := exec.Command("bash", "-c", `set -o noclobber; exec 3>"$1" || exit 1; printf %s "$2" >&3; sync /dev/fd/3`, "-", name, mine).CombinedOutput()
		switch {
		case bytes.Contains(text, []byte("cannot overwrite")), bytes.Contains(text, []byte("File exists")):
			return syscall.EEXIST
		case bytes.Contains(text, []byte("Stale file handle")):
			return syscall.ESTALE
		case err != nil:
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}},
	{name: "RENAME_NOREPLACE", take: func(name, mine string) error {
		// Not by O_EXCL: with --exclusive-create=open such a file is stored from the beginning.
		f, err := os.Create(filepath.Join(filepath.Dir(name), ".tmp-"+strings.ReplaceAll(mine, "/", "-")))
		if err != nil {
			return err
		}
		if _, err := f.WriteString(mine); err != nil {
			return err
		}
		if err := unix.Renameat2(unix.AT_FDCWD, f.Name(), unix.AT_FDCWD, name, unix.RENAME_NOREPLACE); err != nil {
			_ = os.Remove(f.Name())
			_ = f.Close()
			return err
		}
		return finishWith(f, "")
	}},
	{name: "mkdir", atOnce: true, empty: true, take: func(name, _ string) error { return os.Mkdir(name, 0o755) }},
	{name: "symlink", withOpen: true, unwaited: true, take: func(name, mine string) error { return os.Symlink(mine, name) }},
}

func finishWith(f *os.File, text string) error {
	_, err := f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// TestExclusive: of several programs on two mounts that want to be the first to have a name, exactly one is: at once where that is promised,
// else at close or fsync, and then what the others wrote is kept.
func TestExclusive(t *testing.T) {
	t.Parallel()
	names, all := 1, os.Getenv("OBJMOUNT_SOAK") != ""
	if all {
		names = 40
	}
	onEachStore(t, func(t *testing.T, s *store) {
		for _, decided := range []string{"commit", "open"} {
			if !all && (decided == "open") == (s.name == "minio") { // each store with one, each of them once
				continue
			}
			t.Run(decided, func(t *testing.T) {
				t.Parallel()
				p := &pair{T: t, store: s, bucket: s.newBucket(t)}
				s.put(t, p.bucket, "d/stored", []byte("stored"))
				s.put(t, p.bucket, "d/there", []byte("there"))
				o := mountOptions{store: s, source: "s3://" + p.bucket, args: []string{"--exclusive-create=" + decided}, noisy: contestNoise}
				p.a = newMount(t, o)
				o.args = append(o.args, "--commit=background")
				p.b = newMount(t, o)
				for i := range names {
					for _, race := range exclusiveRaces {
						atOpen := decided == "open"
						race.atOnce = race.atOnce || race.withOpen && atOpen
						race.unwaited = race.unwaited && !atOpen
						p.exclusiveRace(fmt.Sprintf("d/%s-%d", race.name, i), race)
					}
				}
				p.onlyFree()
				tell(t, names, names*len(exclusiveRaces)*exclusiveRacers, 0)
				p.a.unmount()
				p.b.unmount()
			})
		}
	})
}

const exclusiveRacers = 6

// exclusiveRace lets programs of both mounts take one name at the same moment.
func (p *pair) exclusiveRace(key string, race exclusiveRace) {
	p.Helper()
	answers := make([]error, exclusiveRacers)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range answers {
		m := []*mount{p.a, p.b}[i%2]
		if i < 2 { // that the name is free is known already
			_, _ = os.Stat(m.in(key))
		}
		group.Go(func() {
			<-start
			answers[i] = race.take(m.in(key), payload(key, i))
		})
	}
	close(start)
	group.Wait()
	winner := -1
	for i, err := range answers {
		no := errno(err)
		switch {
		case err == nil && race.unwaited:
			winner = i
		case err == nil && winner >= 0:
			p.Errorf("%s: both %d and %d have won: %v", key, winner, i, answers)
		case err == nil:
			winner = i
		case no == syscall.EEXIST, no == syscall.ESTALE && !race.atOnce:
		default:
			p.Errorf("%s: %d was told %v", key, i, err)
		}
		if no != syscall.ESTALE {
			continue
		}
		m := []*mount{p.a, p.b}[i%2]
		if kept := m.keptOf(key); !bytes.Contains(kept, []byte(payload(key, i))) {
			p.Errorf("%s: what %d wrote is in no conflict: %q", key, i, kept)
		}
	}
	if winner < 0 {
		p.Errorf("%s: nobody has won: %v", key, answers)
		return
	}
	if race.atOnce {
		for _, m := range []*mount{p.a, p.b} {
			if kept := m.keptOf(key); kept != nil {
				p.Errorf("%s: a loser that was told at once has left a conflict: %q", key, kept)
			}
		}
	}
	if race.empty || race.unwaited {
		return
	}
	if got := p.store.get(p.T, p.bucket, key); string(got) != payload(key, winner) {
		p.Errorf("%s: the store has %q, and %d has won", key, got, winner)
	}
}

func payload(key string, i int) string { return fmt.Sprintf("%s is of %d.", key, i) }

// keptOf is all that is kept of a key; nil: nothing is.
func (m *mount) keptOf(key string) []byte {
	var all []byte
	for _, w := range m.pending(".") {
		if !w.Kept || w.Key != key {
			continue
		}
		data, err := os.ReadFile(w.LocalFile)
		if err != nil && w.LocalFile != "" { // else it has no bytes of its own
			m.t.Error(err)
		}
		all = append(append(all, '|'), data...)
	}
	return all
}

// onlyFree: RENAME_NOREPLACE of a file that is stored is refused by these stores, so that mv falls back; where there is a file it is EEXIST.
func (p *pair) onlyFree() {
	p.Helper()
	for _, m := range []*mount{p.a, p.b} {
		for to, want := range map[string]error{"d/free": syscall.EINVAL, "d/there": syscall.EEXIST} {
			if err := unix.Renameat2(unix.AT_FDCWD, m.in("d/stored"), unix.AT_FDCWD, m.in(to), unix.RENAME_NOREPLACE); err != want {
				p.Errorf("RENAME_NOREPLACE to %s: %v, want %v", to, err, want)
			}
		}
	}
	if text, err := exec.Command("mv", "-n", p.a.in("d/stored"), p.a.in("d/there")).CombinedOutput(); string(p.store.get(p.T, p.bucket, "d/there")) != "there" {
		p.Errorf("mv -n has replaced a file: %v, %s", err, text)
	}
}
