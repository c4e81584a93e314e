package past_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/past"
)

// event is one change in a bucket's history.
type event struct {
	when time.Time
	key  string
	text string // "" deletes
}

// asOf is the plain model: what the changes up to a time leave.
func asOf(history []event, at time.Time) map[string]string {
	state := map[string]string{}
	for _, e := range history {
		switch {
		case e.when.After(at):
		case e.text == "":
			delete(state, e.key)
		default:
			state[e.key] = e.text
		}
	}
	return state
}

// levels is what a listing with "/" of the model shows.
func levels(state map[string]string, in backend.ListInput) []string {
	names := map[string]bool{}
	for key := range state {
		if rest, ok := strings.CutPrefix(key, in.Prefix); ok {
			if dir, _, nested := strings.Cut(rest, "/"); nested && in.Delimiter != "" {
				key = in.Prefix + dir + "/"
			}
			names[key] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		return name <= in.StartAfter || in.Delimiter != "" && strings.HasSuffix(name, "/") && name != in.Prefix && strings.HasPrefix(in.StartAfter, name)
	})
}

func TestLikeAModel(t *testing.T) {
	keys := []string{"a", "a-b", "a.", "a/", "a/1", "a/1/x", "a/2", "a/2/y/z", "a0", "b", "c/d/e", "c/d/f", "c/g/", "c/g/h", "d/x", "e", "é/ü"}
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("m/%x/x", i), fmt.Sprintf("m/%x/y", i%3))
	}
	prefixes := []string{"", "m/", "m/1", "a", "a/", "a/1", "a/2/", "c/", "c/d/", "d/", "none", "é"}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		history := play(r, w, keys)
		for range 3 {
			// Within a second what the store dates to it counts: it lists whole seconds here.
			at := second(rapid.IntRange(-1, 40).Draw(r, "second")).Add(time.Duration(rapid.IntRange(0, 999).Draw(r, "ms")) * time.Millisecond)
			state, s := asOf(history, at), past.New(past.Config{
				Store: &fromMarker{Store: w.store, on: rapid.Bool().Draw(r, "from the marker")}, At: at, Entries: rapid.IntRange(1, 30).Draw(r, "entries"),
			})
			for range 4 {
				in := backend.ListInput{
					Prefix: rapid.SampledFrom(prefixes).Draw(r, "prefix"), Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(r, "delimiter"),
					MaxKeys: int32(rapid.IntRange(0, 6).Draw(r, "keys")), StartAfter: rapid.SampledFrom(append([]string{"", "", "zz"}, keys...)).Draw(r, "after"),
				}
				w.store.Configure(func(s *mem.Settings) { s.PageSize = int32(rapid.IntRange(2, 30).Draw(r, "page size")) })
				if got, want := w.list(s, in), levels(state, in); !slices.Equal(got, want) {
					r.Fatalf("at %v: %+v lists %q, want %q", at, in, got, want)
				}
			}
			for _, key := range keys {
				got, _, err := w.read(s, key, backend.GetOptions{})
				if _, existed := state[key]; got != state[key] || existed != (err == nil) || !existed && !backend.IsKind(err, backend.KindNotExist) {
					r.Fatalf("at %v: %q is %q, %v; want %q", at, key, got, err, state[key])
				}
			}
		}
	})
}

// play makes a random history. Some keys have many versions, so that they span pages.
func play(r *rapid.T, w *world, keys []string) (history []event) {
	for i := range rapid.IntRange(0, 60).Draw(r, "changes") {
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(r, "pause")) * 500 * time.Millisecond)
		e := event{when: w.now.Truncate(time.Second), key: rapid.SampledFrom(keys).Draw(r, "key")}
		repeat := 1
		if rapid.IntRange(0, 4).Draw(r, "kind") > 0 {
			e.text = fmt.Sprint("content ", i)
			repeat = rapid.SampledFrom([]int{1, 1, 1, 7}).Draw(r, "repeat")
		}
		for range repeat {
			if e.text == "" {
				w.delete(e.key)
			} else {
				w.put(e.key, e.text)
			}
		}
		history = append(history, e)
	}
	return history
}

// fromMarker lists from a key marker on, not after it, as VersityGW 1.8.0 does.
type fromMarker struct {
	*mem.Store
	on bool
}

func (f *fromMarker) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	if last := len(in.KeyMarker) - 1; f.on && in.VersionMarker == "" && last >= len(in.Prefix) {
		in.KeyMarker = in.KeyMarker[:last] + string([]byte{in.KeyMarker[last] - 1}) + "\xff"
	}
	return f.Store.ListVersions(ctx, in)
}
