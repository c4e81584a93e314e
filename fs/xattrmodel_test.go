package fs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestXattrModel changes the attributes of a file in every state that it can be in, between writes, renames and chmods,
// while uploads and tags are on their way, and compares with what was set: at every step here, at the end in the store.
func TestXattrModel(t *testing.T) {
	for seed := range uint64(9) {
		for _, commit := range []CommitMode{CommitClose, CommitBackground} {
			t.Run(fmt.Sprintf("%d-%d", seed, commit), func(t *testing.T) {
				t.Parallel()
				runXattrModel(t, seed, commit)
			})
		}
	}
}

// TestXattrModelCrash is the same, ended by a crash: the next mount shows and stores what was set.
func TestXattrModelCrash(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			var faults *mem.Faults
			m := newTestMount(t, testOptions{commit: CommitBackground, state: state, wrap: func(s backend.Store) backend.Store {
				faults = mem.Faulty(s)
				return faults
			}})
			check(t, os.Mkdir(m.path("d0"), 0o755))
			x := &xattrModel{testMount: m, random: rand.New(rand.NewPCG(seed, 2)), name: "d0/f0", want: map[string]string{}, data: "x"}
			check(t, os.WriteFile(m.path(x.name), []byte("x"), 0o644))
			for range 10 + x.random.IntN(40) {
				x.step()
			}
			x.close()
			faults.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
			eventually(t, func() bool { return m.store.Flying() == 0 })
			m.lost = true
			x.testMount = m.killed(state)
			x.look("after the crash")
			check(t, x.fs.Drain(t.Context(), nil))
			x.fs.facts.clear()
			x.look("when all is stored")
			if got, _ := x.object(x.name); string(got) != x.data {
				t.Errorf("the store has %q, want %q", got, x.data)
			}
			if left := x.fs.cfg.Staging.Intents(); len(left) != 0 {
				t.Errorf("left in the journal: %v", left)
			}
		})
	}
}

type xattrModel struct {
	*testMount
	random *rand.Rand
	name   string
	want   map[string]string
	data   string
	open   *os.File
	steps  []string
}

func runXattrModel(t *testing.T, seed uint64, commit CommitMode) {
	delays := rand.New(rand.NewPCG(seed, 7))
	slow := make(chan time.Duration, 10_000)
	for range cap(slow) {
		slow <- time.Duration(delays.IntN(4)) * time.Duration(delays.IntN(3)) * time.Millisecond
	}
	pause := mem.Before(func(context.Context, mem.Call) {
		select {
		case d := <-slow:
			time.Sleep(d)
		default:
		}
	})
	caps := mem.AllCapabilities()
	caps.Versioned, caps.Classes = seed%3 == 1, seed%2 == 0
	m := newTestMount(t, testOptions{commit: commit, caps: &caps, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{pause}}, mem.Rule{Op: "CopyObject", Do: []mem.Action{pause}},
			mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{pause}}, mem.Rule{Op: "GetObjectTagging", Do: []mem.Action{pause}})
	}})
	check(t, os.Mkdir(m.path("d0"), 0o755))
	x := &xattrModel{testMount: m, random: rand.New(rand.NewPCG(seed, 1)), name: "d0/f0", want: map[string]string{}, data: "x"}
	check(t, os.WriteFile(m.path(x.name), []byte("x"), 0o644))
	for range 120 {
		x.step()
		if t.Failed() {
			return
		}
	}
	x.close()
	if x.random.IntN(2) == 0 {
		x.look("at the end")
	}
	check(t, m.fs.Drain(t.Context(), nil))
	x.look("when all is stored")
	m.fs.facts.clear()
	x.look("as the store tells")
	if got, _ := m.object(x.name); string(got) != x.data {
		t.Errorf("the store has %q, want %q", got, x.data)
	}
	if left := m.fs.cfg.Staging.Intents(); len(left) != 0 {
		t.Errorf("left in the journal: %v", left)
	}
}

func (x *xattrModel) look(when string) {
	x.t.Helper()
	if got := xattrsOf(x.t, x.path(x.name)); !maps.Equal(got, x.want) {
		x.t.Errorf("%s: %v, want %v", when, got, x.want)
	}
}

func (x *xattrModel) close() {
	if x.open != nil {
		check(x.t, x.open.Close())
		x.open = nil
	}
}

func (x *xattrModel) step() {
	attributes := []string{"user.s3.tag.a", "user.s3.tag.b", "user.s3.meta.c", "user.d", "user.s3.cache-control"}
	name := attributes[x.random.IntN(len(attributes))]
	var what string
	switch x.random.IntN(12) {
	case 0, 1, 2, 3:
		value := fmt.Sprint(x.random.IntN(1000))
		setXattr(x.t, x.path(x.name), name, value)
		x.want[name] = value
		what = "set " + name + "=" + value
	case 4:
		what = "remove " + name
		err := unix.Removexattr(x.path(x.name), name)
		if _, there := x.want[name]; there != (err == nil) || err != nil && !errors.Is(err, unix.ENODATA) {
			x.t.Errorf("remove %s: %v", name, err)
		}
		delete(x.want, name)
	case 5:
		what = "write"
		if x.open == nil {
			file, err := os.OpenFile(x.path(x.name), os.O_RDWR|os.O_APPEND, 0)
			check(x.t, err)
			x.open = file
		}
		_, err := x.open.WriteString("y")
		check(x.t, err)
		x.data += "y"
	case 6:
		what = "close"
		x.close()
	case 7:
		what = "rename"
		x.close()
		to := fmt.Sprintf("%s/f%d", x.name[:2], x.random.IntN(1000))
		check(x.t, os.Rename(x.path(x.name), x.path(to)))
		x.name = to
	case 8:
		what = "chmod"
		check(x.t, os.Chmod(x.path(x.name), os.FileMode(0o600|x.random.IntN(2)*0o44)))
	case 9:
		what = "rename of the directory"
		x.close()
		to := fmt.Sprintf("d%d", x.random.IntN(9)+1)
		if to != x.name[:2] {
			check(x.t, os.Rename(x.path(x.name[:2]), x.path(to)))
			x.name = to + x.name[2:]
		}
	case 10:
		what = "replace"
		x.close()
		check(x.t, os.WriteFile(x.path(x.name), []byte("z"), 0o644))
		x.data = "z"
	default:
		what = "wait"
		time.Sleep(time.Duration(x.random.IntN(1500)) * time.Millisecond / 10)
	}
	x.steps = append(x.steps, what)
	x.look("after " + what)
	if x.t.Failed() {
		x.t.Logf("steps: %q", x.steps)
	}
}
