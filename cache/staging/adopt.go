package staging

import (
	"errors"

	"github.com/objmount/objmount/backend"
)

// Adopt opens the directory of another area, which no process may hold, and has its files and promises
// show up among this one's. Nothing is moved: each file stays in the directory and the journal that it
// is in, so there is no moment, crash or not, at which it is in two of them or in none. The limit counts
// the bytes of both. The area that is returned is closed by this one's Close, and its Files are its own
// ones; it is nil, and closed again, when there is nothing in it. KindOther when another process holds it.
func (a *Area) Adopt(dir string) (*Area, error) {
	other, err := open(Config{Dir: dir, Disk: a.disk, Log: a.log}, a.tune)
	if err != nil {
		return nil, err
	}
	if len(other.Files()) == 0 && len(other.Intents()) == 0 {
		return nil, other.Close()
	}
	if err := a.takeIn(other); err != nil {
		other.uncount()
		return nil, errors.Join(err, other.Close())
	}
	return other, nil
}

// takeIn adds an area. Its numbers, which were given out by another process, must be free here, and
// later ones are larger.
func (a *Area) takeIn(other *Area) error {
	files, intents := other.Files(), other.Intents()
	here := make(map[uint64]bool)
	for _, f := range a.Files() {
		here[f.id] = true
	}
	for _, in := range a.Intents() {
		here[in.ID] = true
	}
	last := uint64(0)
	double := false
	for _, f := range files {
		double, last = double || here[f.id], max(last, f.id)
	}
	for _, in := range intents {
		double, last = double || here[in.ID], max(last, in.ID)
	}
	if double {
		return refuse(backend.KindOther, "adopt", backend.ObjectID{}, "two staging areas use the same number")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return diskError("adopt", backend.ObjectID{}, errClosed)
	}
	a.lastID = max(a.lastID, last)
	a.adopted = append(a.adopted[:len(a.adopted):len(a.adopted)], other)
	return nil
}

// uncount takes the bytes of an area that will not be used out of the limit.
func (a *Area) uncount() {
	for _, f := range a.Files() {
		a.giveBack(f.space.held)
	}
}

// SameArea tells whether one mount wrote both files: neither was adopted without the other.
func (f *File) SameArea(o *File) bool { return f.area == o.area }
