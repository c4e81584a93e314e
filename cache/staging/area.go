package staging

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

// Config configures an Area.
type Config struct {
	Dir   string       // made if it does not exist
	Limit int64        // bytes of local data; 0: no limit
	Disk  Disk         // nil: the machine's own
	Log   *slog.Logger // nil: none
	// OpenFiles is how many data files stay open while nobody uses them; 0: 256.
	OpenFiles int
}

// maxOpenFiles is how many data files stay open while nobody uses them, where Config says nothing.
const maxOpenFiles = 256

// Area is one staging directory, held by one process. Its methods are safe for concurrent use.
type Area struct {
	dir, dataDir, quarantineDir string
	disk                        Disk
	log                         *slog.Logger
	lock                        io.Closer
	journal                     *journal
	handles                     *handles
	committer                   *committer
	space                       *limiter // shared with the areas that were adopted
	tune                        tuning
	namesDirty                  atomic.Bool // data/ has names that may not be durable

	mu sync.Mutex // a leaf
	// Guarded by mu.
	files       map[uint64]*File
	intents     map[uint64]Intent
	lastID      uint64
	due         []*File // for the next tick
	trash       []trashed
	quarantined int
	closed      bool
	adopted     []*Area
}

// trashed is a removed file whose data must stay until the journal says so durably.
type trashed struct {
	file *File
	seq  uint64 // of the record; 0: it is not written yet
}

var errClosed = errors.New("staging is closed")

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Create begins a staged file with the content that spec names. Nothing is written to the disk
// before the first change.
func (a *Area) Create(spec Spec) (*File, error) {
	spec.Properties = spec.Properties.Clone()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, diskError("create", spec.Target, errClosed)
	}
	f := a.newFileLocked()
	f.spec = spec
	if spec.Content != nil && spec.Content.Size > 0 {
		f.m.load([]piece{{Extent: Extent{Len: spec.Content.Size, Object: spec.Content}}})
	}
	a.files[f.id] = f
	return f, nil
}

// newFileLocked makes a file with the next number.
func (a *Area) newFileLocked() *File { return a.fileOf(a.nextIDLocked()) }

// nextIDLocked gives out numbers that ascend.
func (a *Area) nextIDLocked() uint64 {
	a.lastID = max(a.lastID+1, a.tune.ids())
	return a.lastID
}

// clockIDs gives numbers that are not used again, also not after a restart: the clock's milliseconds
// and random bits.
func clockIDs() uint64 { return uint64(time.Now().UnixMilli())<<20 | rand.Uint64N(1<<19) }

func (a *Area) fileOf(id uint64) *File {
	f := &File{area: a, id: id, generation: newGeneration()}
	f.data.path = path.Join(a.dataDir, fileName(id))
	return f
}

// Files returns the staged files, oldest first, with those of adopted areas.
func (a *Area) Files() []*File {
	a.mu.Lock()
	list := slices.Collect(maps.Values(a.files))
	others := a.adopted
	a.mu.Unlock()
	for _, o := range others {
		list = append(list, o.Files()...)
	}
	slices.SortFunc(list, func(x, y *File) int { return cmp.Compare(x.id, y.id) })
	return list
}

// Usage tells how much the area and those that it adopted hold.
func (a *Area) Usage() Usage {
	a.mu.Lock()
	u := Usage{Files: len(a.files), Quarantined: a.quarantined}
	others := a.adopted
	a.mu.Unlock()
	for _, o := range others {
		more := o.Usage()
		u.Files, u.Quarantined = u.Files+more.Files, u.Quarantined+more.Quarantined
	}
	a.space.mu.Lock()
	defer a.space.mu.Unlock()
	u.Bytes, u.Limit = a.space.used, a.space.limit
	return u
}

func (a *Area) addDue(f *File) {
	a.mu.Lock()
	a.due = append(a.due, f)
	a.mu.Unlock()
	a.committer.wakeUp()
}

func (a *Area) takeDue() []*File {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.due
	a.due = nil
	return due
}

// Remove forgets a file: the journal first, then its data. Snapshots that are not released keep
// the data until they are; what is in memory stays readable. A second call does nothing.
func (f *File) Remove() error {
	f.mu.Lock()
	if f.removed {
		f.mu.Unlock()
		return nil
	}
	var err error
	if f.recorded {
		err = f.journalLocked(record{kind: recordRemove, file: f.id})
	}
	f.removed = true
	last := len(f.snapshots) == 0
	f.mu.Unlock()
	a := f.area
	a.mu.Lock()
	delete(a.files, f.id)
	a.mu.Unlock()
	if last {
		a.discard(f)
	}
	return err
}

// discard unlinks the data of a removed file: at once where a power failure can do no harm, else
// after the next sync of the journal. It is called once per file.
func (a *Area) discard(f *File) {
	a.handles.forget(&f.data)
	f.mu.Lock()
	wait, recorded := f.created && f.durable, f.recorded
	f.mu.Unlock()
	if !wait && !recorded {
		a.unlink(f)
		return
	}
	t := trashed{file: f}
	if !recorded {
		t.seq = a.journal.lastSeq()
	}
	a.mu.Lock()
	a.trash = append(a.trash, t)
	a.mu.Unlock()
	a.committer.wakeUp()
}

// unlink removes the data file and gives its space back.
func (a *Area) unlink(f *File) {
	if f.created {
		if err := a.disk.Remove(f.data.path); err != nil && !isNotExist(err) {
			a.log.Warn("staged data could not be removed", "file", f.ID(), "error", err.Error())
			return // the journal knows it: the next start removes it
		}
	}
	a.journal.forget(f.id)
	a.giveBack(f.space.held)
}

// emptyTrash unlinks what is removed durably.
func (a *Area) emptyTrash(synced uint64) {
	a.mu.Lock()
	trash := a.trash
	a.trash = nil
	a.mu.Unlock()
	var keep []trashed
	for _, t := range trash {
		if t.seq == 0 {
			t.file.mu.Lock()
			if t.file.journalLocked(record{kind: recordRemove, file: t.file.id}) == nil {
				t.seq = a.journal.lastSeq()
			}
			t.file.mu.Unlock()
		}
		if t.seq == 0 || t.seq > synced {
			keep = append(keep, t)
			continue
		}
		a.unlink(t.file)
	}
	if len(keep) > 0 {
		a.mu.Lock()
		a.trash = append(a.trash, keep...)
		a.mu.Unlock()
		a.committer.wakeUp()
	}
}

// AddIntent journals a promise of the layer above; with sync it is durable when it returns.
func (a *Area) AddIntent(kind string, payload []byte, sync bool) (id uint64, err error) {
	a.mu.Lock()
	id = a.nextIDLocked()
	a.mu.Unlock()
	var e encoder
	e.string(kind)
	e.string(string(payload))
	if _, err := a.journal.append(record{kind: recordIntent, file: id, payload: e.b}); err != nil {
		return 0, diskError("journal", backend.ObjectID{}, err)
	}
	a.mu.Lock()
	a.intents[id] = Intent{ID: id, Kind: kind, Payload: slices.Clone(payload)}
	a.mu.Unlock()
	a.committer.wakeUp()
	if sync {
		if err := a.committer.commit(); err != nil {
			return 0, errors.Join(err, a.DropIntent(id))
		}
	}
	return id, nil
}

// DropIntent says that a promise was kept. An unknown id is no error.
func (a *Area) DropIntent(id uint64) error {
	if a = a.areaOf(id); a == nil {
		return nil
	}
	if _, err := a.journal.append(record{kind: recordNoIntent, file: id}); err != nil {
		return diskError("journal", backend.ObjectID{}, err)
	}
	a.mu.Lock()
	delete(a.intents, id)
	a.mu.Unlock()
	a.committer.wakeUp()
	return nil
}

// RevokeIntent says that a promise is not to be kept, and is durable when it returns: else a promise that nobody remembers would be kept
// after a power cut. An unknown id is no error.
func (a *Area) RevokeIntent(id uint64) error {
	if a = a.areaOf(id); a == nil {
		return nil
	}
	return errors.Join(a.DropIntent(id), a.committer.commit())
}

// areaOf returns the area, this one or an adopted one, that has an intent; nil: none.
func (a *Area) areaOf(id uint64) *Area {
	a.mu.Lock()
	_, known := a.intents[id]
	others := a.adopted
	a.mu.Unlock()
	if known {
		return a
	}
	for _, o := range others {
		if found := o.areaOf(id); found != nil {
			return found
		}
	}
	return nil
}

// Intents returns the promises that are not kept yet, oldest first, with those of adopted areas.
// Their payloads must not be changed.
func (a *Area) Intents() []Intent {
	a.mu.Lock()
	list := slices.Collect(maps.Values(a.intents))
	others := a.adopted
	a.mu.Unlock()
	for _, o := range others {
		list = append(list, o.Intents()...)
	}
	slices.SortFunc(list, func(x, y Intent) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// Quarantined lists what this process and earlier ones did not understand, with that of adopted areas.
func (a *Area) Quarantined() ([]Quarantined, error) {
	a.mu.Lock()
	others := a.adopted
	a.mu.Unlock()
	entries, err := a.disk.ReadDir(a.quarantineDir)
	if err != nil {
		return nil, diskError("list quarantine", backend.ObjectID{}, err)
	}
	list := make([]Quarantined, 0, len(entries))
	for _, e := range entries {
		list = append(list, Quarantined{Path: path.Join(a.quarantineDir, e.Name), Size: e.Size})
	}
	for _, o := range others {
		more, err := o.Quarantined()
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// Close syncs everything and lets go of the directory, and of those that were adopted. Staged data
// stays on the disk. No other method may be in progress.
func (a *Area) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	others := a.adopted
	a.adopted = nil
	a.mu.Unlock()
	var err error
	for _, o := range others {
		err = errors.Join(err, o.Close())
	}
	return errors.Join(err, a.closeOwn())
}

func (a *Area) closeOwn() error {
	close(a.committer.stop)
	<-a.committer.ended
	var err error
	for _, f := range a.Files() {
		if _, syncErr := f.syncData(); syncErr != nil {
			err = errors.Join(err, syncErr)
		}
		f.mu.Lock()
		f.nextMap = time.Time{}
		f.dueLocked()
		f.mu.Unlock()
	}
	err = errors.Join(err, a.committer.tick())
	if err == nil {
		err = a.committer.commit()
	}
	if err == nil {
		err = diskError("close staging", backend.ObjectID{}, a.journal.finish())
	}
	return errors.Join(err, a.release())
}

// release gives back what Open took.
func (a *Area) release() error {
	a.handles.close()
	return errors.Join(a.journal.close(), a.lock.Close())
}
