package test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// waiting are the files that are promised to be stored.
func (m *mapsMount) waiting() []*mapsNode {
	var all []*mapsNode
	for _, key := range slices.Sorted(maps.Keys(m.nodes)) {
		if n := m.nodes[key]; n.pending {
			all = append(all, n)
		}
	}
	return all
}

// foreignDo is a call of another client: it asks nobody, and wins against everybody who has not stored.
func (c *mapsCase) foreignDo(call mapsCall) (string, error) {
	s := c.store
	switch call.what {
	case "put":
		data := c.newBytes(call.n)
		if err := c.boto("put_object", map[string]any{"Bucket": c.bucket, "Key": c.dir + "/" + call.key, "Body": botoBytes(data)}, nil); err != nil {
			return "", err
		}
		s.objects[call.key] = &mapsVersion{data}
	case "delete":
		if err := c.remove(call.key); err != nil {
			return "", err
		}
		delete(s.objects, call.key)
	case "clear":
		dir := mapsFolders[int(call.seed)%len(mapsFolders)]
		var keys []string
		for key := range s.objects {
			keys = append(keys, key)
		}
		for marker := range s.markers {
			keys = append(keys, marker+"/")
		}
		slices.Sort(keys)
		slices.Reverse(keys) // what is in a directory before its marker
		for _, key := range keys {
			if !isBelow(key, dir) {
				continue
			}
			if err := c.remove(key); err != nil {
				return "", err
			}
			delete(s.objects, key)
			if dir, marker := strings.CutSuffix(key, "/"); marker {
				delete(s.markers, dir)
				c.cleared[dir] = true
			}
		}
	case "get":
		return "", c.stored(call.key)
	}
	return "", nil
}

func (c *mapsCase) boto(method string, args map[string]any, reply any) error {
	return c.server.tryBoto(method, args, reply)
}

func (c *mapsCase) remove(key string) error {
	return c.boto("delete_object", map[string]any{"Bucket": c.bucket, "Key": c.dir + "/" + key}, nil)
}

// stored compares what the bucket has under a key.
func (c *mapsCase) stored(key string) error {
	var reply struct {
		Body struct {
			Bytes []byte `json:"__bytes__"`
		}
	}
	err := c.boto("get_object", map[string]any{"Bucket": c.bucket, "Key": c.dir + "/" + key}, &reply)
	want := c.store.objects[key]
	switch {
	case want == nil && err != nil && strings.Contains(err.Error(), "NoSuchKey"):
		return nil
	case want == nil && err == nil:
		return fmt.Errorf("the store has %s (%d bytes), which is gone", key, len(reply.Body.Bytes))
	case err != nil:
		return err
	case string(reply.Body.Bytes) != string(want.bytes):
		return fmt.Errorf("%s in the store: %s", key, firstDifference(reply.Body.Bytes, want.bytes))
	}
	return nil
}

// learnMarkers asks which directories have a marker. A mount may write one where there was none: for the last file that goes, and for a file
// that is stored more than two seconds after it was written, because its mtime is kept then. It must not take one away.
func (c *mapsCase) learnMarkers() error {
	keys, err := c.bucketKeys()
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for _, key := range keys {
		if dir, ok := strings.CutSuffix(key, "/"); ok && dir != "" {
			found[dir] = true
		}
	}
	for dir := range c.store.markers {
		if !found[dir] {
			return fmt.Errorf("the marker of %s is gone", dir)
		}
	}
	c.store.markers, c.store.news = found, false
	maps.DeleteFunc(c.cleared, func(dir string, _ bool) bool { return found[dir] })
	return nil
}

// bucketKeys lists what the bucket has for this case.
func (c *mapsCase) bucketKeys() (keys []string, err error) {
	var reply struct{ Contents []struct{ Key string } }
	err = c.boto("list_objects_v2", map[string]any{"Bucket": c.bucket, "Prefix": c.dir + "/"}, &reply)
	for _, o := range reply.Contents {
		keys = append(keys, strings.TrimPrefix(o.Key, c.dir+"/"))
	}
	return keys, err
}

// checkConflicts compares what a mount lists as conflicts.
func (a *mapsActor) checkConflicts() error {
	list, err := a.conflictList()
	if err != nil {
		return err
	}
	var got, want []string
	for _, w := range list {
		got = append(got, fmt.Sprintf("%s %s %d", w.State, strings.TrimPrefix(w.Key, a.dir+"/"), w.Size))
	}
	for _, w := range a.model.conflicts {
		want = append(want, fmt.Sprintf("conflict %s %d", w.key, len(w.content)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("conflicts are %q, want %q", got, want)
	}
	return nil
}

func (a *mapsActor) conflictList() ([]waiting, error) {
	items, err := a.ask("conflicts/list", "", nil)
	if err != nil {
		return nil, err
	}
	list := make([]waiting, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &list[i]); err != nil {
			return nil, fmt.Errorf("%w: %s", err, item)
		}
	}
	slices.SortFunc(list, func(x, y waiting) int { return cmp.Compare(x.ID, y.ID) })
	return list, nil
}

// ask is a verb of objmount ctl about a key.
func (a *mapsActor) ask(verb, key string, more map[string]any) ([]json.RawMessage, error) {
	return a.mount().ask(verb, a.mount().below(a.path(key)), more)
}

// raced takes over what is left open when another client changes a key that waits to be stored: it may have been stored just before.
func (a *mapsActor) raced(change func() error) error {
	waits := a.model.waiting()
	a.store.news = true
	if err := change(); err != nil {
		return err
	}
	_, _ = a.ask("pending/flush", "", nil) // that something is lost is said below
	list, err := a.conflictList()
	if err != nil {
		return err
	}
	known := map[string]int{}
	for _, w := range a.model.conflicts {
		known[w.key]++
	}
	for _, w := range list {
		known[strings.TrimPrefix(w.Key, a.dir+"/")]--
	}
	for _, n := range waits {
		switch v := a.store.objects[n.key]; {
		case known[n.key] < 0: // it came too late
			n.pending = false
			a.model.lose(n)
		case v == n.base: // not one that was changed
			a.model.store(a.store, n)
		default: // it came first, and was replaced
			n.pending, n.base = false, &mapsVersion{n.content}
			n.settle()
		}
		n.settle()
	}
	return a.checkConflicts()
}

// saveConflicts stores what is kept, where nothing is: what was written is not lost.
func (a *mapsActor) saveConflicts() error {
	list, err := a.conflictList()
	if err != nil {
		return err
	}
	for i, w := range list {
		key := strings.TrimPrefix(w.Key, a.dir+"/")
		name := fmt.Sprintf("kept%d-%d", a.who, i)
		_, err := a.ask("conflicts/save-as", key, map[string]any{"id": w.ID, "to": a.mount().below(a.path(name))})
		which := slices.IndexFunc(a.model.conflicts, func(c mapsConflict) bool {
			return c.key == key && int64(len(c.content)) == w.Size && (err == nil || !c.whole)
		})
		if which < 0 {
			return errors.Join(err, fmt.Errorf("the conflict of %s, %d bytes", key, w.Size))
		}
		if err != nil { // some of it was a range of a version that is gone
			continue
		}
		if err := a.savedAs(name, key, w.Size); err != nil {
			return err
		}
	}
	return nil
}

// savedAs compares what was kept; two conflicts of one file can be of one size.
func (a *mapsActor) savedAs(name, key string, size int64) error {
	var wrong error
	for _, c := range a.model.conflicts {
		if c.key != key || int64(len(c.content)) != size {
			continue
		}
		a.store.objects[name] = &mapsVersion{c.content}
		if wrong = a.stored(name); wrong == nil {
			return nil
		}
	}
	return wrong
}
