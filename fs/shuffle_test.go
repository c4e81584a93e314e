package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// shuffler makes, renames and removes files of a few names, and their directories, faster than they
// are stored, and knows what each name must show.
type shuffler struct {
	m      *testMount
	rand   *rand.Rand
	dir    string
	shows  map[string]*shown // files and symlinks, by path below dir
	dirs   map[string]bool
	held   []heldFile
	writer heldFile
	log    []string
}

// shown is a file as the test knows it: its content, or "->" and the target of a symlink.
type shown struct{ text string }

func (s *shown) symlink() bool { return strings.HasPrefix(s.text, "->") }

// heldFile is a file that stays open while its name goes.
type heldFile struct {
	*os.File
	shown *shown
}

var (
	shuffledNames = []string{"a", "b", "c", "x/a", "x/b", "y/a", "y/b"}
	shuffledDirs  = []string{"x", "y", "z"}
)

// parentThere tells whether the directory of a name exists.
func (s *shuffler) parentThere(name string) bool {
	dir := filepath.Dir(name)
	return dir == "." || s.dirs[dir]
}

// empty tells whether nothing is in a directory.
func (s *shuffler) empty(dir string) bool {
	for name := range s.shows {
		if filepath.Dir(name) == dir {
			return false
		}
	}
	return true
}

// stepDir makes, renames or removes a directory.
func (s *shuffler) stepDir() error {
	dir, other := shuffledDirs[s.rand.IntN(3)], shuffledDirs[s.rand.IntN(3)]
	path, otherPath := filepath.Join(s.dir, dir), filepath.Join(s.dir, other)
	what := s.rand.IntN(4)
	s.log = append(s.log, fmt.Sprintf("dir %d %s %s", what, dir, other))
	var err, want error
	switch what {
	case 0:
		if err = os.Mkdir(path, 0o755); s.dirs[dir] {
			want = syscall.EEXIST
		}
		s.dirs[dir] = true
	case 1:
		err = syscall.Rmdir(path)
		switch {
		case !s.dirs[dir]:
			want = syscall.ENOENT
		case !s.empty(dir):
			want = syscall.ENOTEMPTY
		default:
			delete(s.dirs, dir)
		}
	default:
		err = syscall.Rename(path, otherPath)
		switch {
		case !s.dirs[dir]:
			want = syscall.ENOENT
		case dir == other:
		case s.dirs[other] && !s.empty(other):
			want = syscall.ENOTEMPTY
		default:
			s.moved(dir, other)
		}
	}
	if !errors.Is(err, want) {
		return fmt.Errorf("%v, want %v", err, want)
	}
	return nil
}

func (s *shuffler) moved(dir, other string) {
	delete(s.dirs, dir)
	s.dirs[other] = true
	for name, file := range maps.Clone(s.shows) {
		if rest, below := strings.CutPrefix(name, dir+"/"); below {
			delete(s.shows, name)
			s.shows[other+"/"+rest] = file
		}
	}
}

func (s *shuffler) step(i int) error {
	if s.rand.IntN(8) == 0 {
		return s.stepDir()
	}
	name, other := shuffledNames[s.rand.IntN(len(shuffledNames))], shuffledNames[s.rand.IntN(len(shuffledNames))]
	if !s.parentThere(name) || !s.parentThere(other) {
		return s.look(name)
	}
	path, otherPath := filepath.Join(s.dir, name), filepath.Join(s.dir, other)
	text := fmt.Sprintf("%s %d", name, i)
	what := s.rand.IntN(14)
	s.log = append(s.log, fmt.Sprintf("%d %s %s", what, name, other))
	switch what {
	case 0: // an empty file
		text = ""
		fallthrough
	case 1, 2:
		old := s.shows[name]
		if old != nil && old.symlink() {
			return nil
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		if old == nil {
			old = new(shown)
			s.shows[name] = old
		}
		old.text = text
	case 3:
		err := os.Symlink(text, path)
		if s.shows[name] != nil {
			if !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("symlink over %s: %v", name, err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		s.shows[name] = &shown{"->" + text}
	case 4:
		err := os.Remove(path)
		return s.gone(name, err)
	case 5, 6, 7:
		err := os.Rename(path, otherPath)
		content, there := s.shows[name]
		if err := s.gone(name, err); err != nil {
			return err
		}
		if there {
			s.shows[other] = content
		}
	case 8:
		return s.hold(name, path)
	case 10, 11:
		return s.copy(path, otherPath, name, other)
	case 12:
		return s.write(name, path, text)
	case 9:
		time.Sleep(time.Duration(s.rand.IntN(4)) * time.Millisecond)
	}
	return s.look(name)
}

// gone takes the answer of a call that takes a name away.
func (s *shuffler) gone(name string, err error) error {
	_, there := s.shows[name]
	delete(s.shows, name)
	if there != (err == nil) {
		return fmt.Errorf("%s there: %v; %w", name, there, errors.Join(err, errors.New("the answer is wrong")))
	}
	return nil
}

// hold opens a file, or checks one that is held and closes it.
func (s *shuffler) hold(name, path string) error {
	if len(s.held) > 2 {
		h := s.held[0]
		s.held = s.held[1:]
		defer h.Close()
		got := make([]byte, len(h.shown.text)+1)
		n, _ := h.ReadAt(got, 0)
		if string(got[:n]) != h.shown.text {
			return fmt.Errorf("an open file shows %q, want %q", got[:n], h.shown.text)
		}
		return nil
	}
	content := s.shows[name]
	if content == nil || content.symlink() {
		return nil
	}
	h, err := os.Open(path)
	if err != nil {
		return err
	}
	s.held = append(s.held, heldFile{h, content})
	return nil
}

// copy makes one file the copy of another, by copy_file_range(2).
func (s *shuffler) copy(path, otherPath, name, other string) error {
	from, to := s.shows[name], s.shows[other]
	if from == nil || from == to || from.symlink() || to != nil && to.symlink() {
		return nil
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(otherPath)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Close()); err != nil {
		return err
	}
	if to == nil {
		to = new(shown)
		s.shows[other] = to
	}
	to.text = from.text
	return s.look(other)
}

// write opens a file to write at its end later, also when its name has changed or gone by then.
func (s *shuffler) write(name, path, text string) error {
	if s.writer.File != nil {
		w := s.writer
		s.writer = heldFile{}
		_, err := w.WriteAt([]byte(text), int64(len(w.shown.text)))
		w.shown.text += text
		return errors.Join(err, w.Close())
	}
	file := s.shows[name]
	if file == nil || file.symlink() {
		return nil
	}
	h, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	s.writer = heldFile{h, file}
	return nil
}

// look compares what a name shows.
func (s *shuffler) look(name string) error {
	path := filepath.Join(s.dir, name)
	file, there := s.shows[name]
	want := ""
	if there {
		want = file.text
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !there:
		return nil
	case err != nil || !there:
		return fmt.Errorf("%s there: %v; stat: %v", name, there, err)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil || "->"+target != want {
			return fmt.Errorf("%s is a symlink to %q (%v), want %q", name, target, err, want)
		}
		return nil
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		return fmt.Errorf("%s has %q (%v), want %q", name, got, err, want)
	}
	return nil
}

// callLog is what the store was asked, each call twice: when it began and when it was done.
type callLog struct {
	mu    sync.Mutex
	calls []string
}

func (l *callLog) add(_ context.Context, c mem.Call) {
	if strings.HasPrefix(c.Op, "Get") || strings.HasPrefix(c.Op, "Head") || strings.HasPrefix(c.Op, "List") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c.Op+" "+c.Key)
}

// of returns the last calls for keys of a directory.
func (l *callLog) of(dir string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(l.calls), func(s string) bool { return !strings.Contains(s, dir) })
	return found[max(0, len(found)-60):]
}

// TestShuffledNames: names change faster than the store follows. The mount shows what a plain
// directory would, nothing of it is a conflict, and in the end the store has the same.
func TestShuffledNames(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		var mu sync.Mutex
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		pause := func(context.Context, mem.Call) {
			mu.Lock()
			d := time.Duration(random.IntN(2000)) * time.Microsecond
			mu.Unlock()
			time.Sleep(d)
		}
		var calls callLog
		slow := func(s backend.Store) backend.Store {
			return mem.Faulty(s, mem.Rule{Do: []mem.Action{mem.Before(calls.add), mem.Before(pause), mem.After(pause), mem.After(calls.add)}})
		}
		m := newTestMount(t, testOptions{commit: commit, wrap: slow})
		const workers, steps = 4, 400
		shufflers := make([]*shuffler, workers)
		var group sync.WaitGroup
		for w := range workers {
			s := &shuffler{m: m, rand: rand.New(rand.NewPCG(seed, uint64(w))), dir: m.path(fmt.Sprintf("dir%d", w)), shows: map[string]*shown{}, dirs: map[string]bool{}}
			shufflers[w] = s
			check(t, os.Mkdir(s.dir, 0o755))
			group.Go(func() {
				defer func() {
					for _, h := range s.held {
						h.Close()
					}
					if s.writer.File != nil {
						s.writer.Close()
					}
				}()
				for i := range steps {
					if err := s.step(i); err != nil {
						t.Errorf("worker %d, step %d: %v\nlast steps: %q\ncalls: %q", w, i, err, s.log[max(0, len(s.log)-30):], calls.of(fmt.Sprintf("dir%d/", w)))
						return
					}
				}
			})
		}
		group.Wait()
		if kept := m.fs.Status().Kept; len(kept) > 0 {
			t.Errorf("kept: %v", kept)
		}
		m.unmount() // also waits for deletes of files that were open
		for w, s := range shufflers {
			for _, name := range append(shuffledNames, "z/a", "z/b") {
				m.sameInStore(t, fmt.Sprintf("dir%d/%s", w, name), s.shows, name)
			}
			if t.Failed() {
				t.Logf("last steps of worker %d: %q", w, s.log[max(0, len(s.log)-60):])
				t.Logf("calls: %q", calls.of(fmt.Sprintf("dir%d/", w)))
				return
			}
		}
	})
}

// sameInStore compares an object with what its name showed.
func (m *testMount) sameInStore(t *testing.T, key string, shows map[string]*shown, name string) {
	t.Helper()
	want, there := shows[name]
	data, err := m.stored(key)
	switch {
	case there != (err == nil):
		t.Errorf("%s is a name: %v; in the store: %v", key, there, err)
	case there && !want.symlink() && string(data) != want.text:
		t.Errorf("%s has %q in the store, want %q", key, data, want.text)
	}
}
