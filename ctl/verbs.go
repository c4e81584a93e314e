package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

// Store is what the verbs need of a store.
type Store interface {
	backend.Reader
	backend.Lister
	backend.Writer
	backend.Multipart
	backend.Tagger
	backend.Locker
	backend.Versioner
	backend.Selector
	backend.Restorer
	backend.Presigner
	backend.Describer
	backend.Buckets
	backend.BucketMaker
	backend.BucketProperties
	backend.BucketDocs
	backend.AccessControl
}

// PlaceKind says what a path is.
type PlaceKind uint8

// The kinds of places.
const (
	Unknown   PlaceKind = iota // nothing is there now: it may be a deleted file or directory
	File                       // one object
	Directory                  // a prefix
)

// Place is where a path lies in the store.
type Place struct {
	Bucket string // empty: the list of buckets
	Key    string // of a Directory its prefix: "" or, as a rule, ending in "/"
	Kind   PlaceKind
}

// String returns the place as s3://bucket/key.
func (p Place) String() string { return "s3://" + p.Bucket + "/" + p.Key }

func (p Place) id() backend.ObjectID { return backend.ObjectID{Bucket: p.Bucket, Key: p.Key} }

// holds tells whether a key belongs to the place.
func (p Place) holds(key string) bool {
	if p.Kind == Directory {
		return strings.HasPrefix(key, p.Key)
	}
	return key == p.Key
}

// Tree is how the verbs see the tree of files that a store's objects are shown in. Methods are called
// from several goroutines at once.
type Tree interface {
	// Locate returns what a path, relative to the root of the tree, stands for. It makes few requests,
	// and none for names above the last.
	Locate(ctx context.Context, path string) (Place, error)
	// Unsent counts the files below a place whose content or removal is not in the store yet.
	Unsent(p Place) int
	// Settle stores what programs have finished below a place, and waits for it.
	Settle(ctx context.Context, p Place) error
	// Changed says that an object is another one in the store now, or has other properties.
	Changed(bucket, key string)
	// Shown waits, for a moment, until programs see what Changed has said.
	Shown(ctx context.Context)
}

// Verbs does what is asked for by path. It works in the process of a mount as well as in a command
// of its own. It is safe for concurrent use.
type Verbs struct {
	Store Store
	Tree  Tree
	// Stage is what the mount has that the store has not; nil: without a mount.
	Stage Stage
	// Cacher is the mount's block cache; nil: without a mount.
	Cacher Cacher
	// Capabilities of a bucket.
	Capabilities func(ctx context.Context, bucket string) (backend.Capabilities, error)
	// Try finds out by scratch objects beside an object what is not known of its store; nil: Capabilities has done so.
	Try func(ctx context.Context, id backend.ObjectID) (backend.Capabilities, error)
	// Signer signs for others; nil: Store does. It is another one where the mount shows another time.
	Signer   backend.Presigner
	Endpoint string // of the store, for messages
	ReadOnly bool   // changes are refused
	Now      func() time.Time
	// Alive asks the store anything that it answers at once. While a verb is silent it is asked, and told when there is no answer.
	// nil: not watched.
	Alive func(ctx context.Context) error
	// Patience is how long the store may be away before a verb fails; 0: as long as its requests wait.
	Patience time.Duration
	// Defaults are properties of an object that is made under a name, from now on; nil: none. It answers from memory; so does Namespaces.
	Defaults func(id backend.ObjectID) backend.Properties
	// PublicURL is where everybody can read an object, or with an empty Key a bucket, by the configuration; "", or nil: it does not say.
	// It answers from memory.
	PublicURL func(id backend.ObjectID) string
	// Namespaces are those that the configuration has for a bucket; nil: none.
	Namespaces func(bucket string) []Namespace
	// Reload reads the configuration file again; nil: nothing stays mounted that could have another.
	Reload func(ctx context.Context, dry bool) (Reloaded, error)
	// Remote is the one of the configuration file that Store is; empty: none, or several.
	Remote string
	// Remotes: Store is several stores, and a bucket is called REMOTE/BUCKET, by path too.
	Remotes bool
	// For returns the Verbs that do what is asked for by a path, for example because they know which of several stores it is in;
	// nil: these do everything.
	For func(path string) *Verbs

	puts putSizes // other ones in tests
}

// Target is the part that every request has.
type Target struct {
	Path      Text `json:"path"`                // below the mountpoint, names as the mount shows them
	Directory bool `json:"directory,omitempty"` // it is, or was, a directory; only of use when it is gone
	DryRun    bool `json:"dry_run,omitempty"`   // say what would be done
}

func (t Target) target() Target { return t }

// Line is one line of an answer. The last one has Error when something failed.
type Line struct {
	Item     json.RawMessage `json:"item,omitempty"`     // one thing found or done; its type is the verb's
	Rows     Text            `json:"rows,omitempty"`     // of select and get: a piece of the result
	Note     string          `json:"note,omitempty"`     // for people: what they should know besides
	Progress *Step           `json:"progress,omitempty"` // how far it is; also sent to show that work goes on
	Result   json.RawMessage `json:"result,omitempty"`   // the sum of it all
	Error    *Error          `json:"error,omitempty"`
}

// Step is how far a verb is. How much there is in all nobody knows before the end, as a rule.
type Step struct {
	Looked int64 `json:"looked,omitempty"` // versions looked at
	Done   int64 `json:"done,omitempty"`   // things done
	Bytes  int64 `json:"bytes,omitempty"`  // how many bytes that was; of a query: that were read
	Total  int64 `json:"total,omitempty"`  // of get, put, flush and prefetch: how many bytes it will be, where that is known
	// Of flush and prefetch: "uploading", "counting" or "fetching". What is said of it is for programs and logs too, not only for terminals.
	Doing string `json:"doing,omitempty"`
	All   int64  `json:"all,omitempty"` // how many things there are to do
	Now   Text   `json:"now,omitempty"` // the key of one that is under way
}

// Summary is the result of verbs that do many things.
type Summary struct {
	Done   int64 `json:"done"`             // or, with DryRun, what would be done
	Bytes  int64 `json:"bytes"`            // of the versions concerned
	Failed int64 `json:"failed,omitempty"` // each has an item with an error
	// Uploads are unfinished ones that were ended, when a bucket was emptied.
	Uploads int64 `json:"uploads,omitempty"`
	DryRun  bool  `json:"dry_run,omitempty"`
}

type request interface{ target() Target }

// verb is one row of the table of verbs.
type verb struct {
	request func() any
	run     func(ctx context.Context, c *call, body []byte) error
}

// care says how careful a verb has to be with what is in the mount only.
type care uint8

const (
	asks    care = iota // for what the store has
	settles             // what programs have finished is stored first
	changes             // so it does, and then changes the store
)

// newcomer is a request about what need not be there: its place may be Unknown.
type newcomer interface{ anew() }

// aboutBucket is a request that may be about the bucket itself, or the uploads in it: what files wait below it is beside the point then.
type aboutBucket interface{ ofBucket(p Place) bool }

// verbOf makes a row: do gets the place, which is no Unknown one, unless R is a newcomer.
func verbOf[R request](how care, do func(ctx context.Context, c *call, p Place, r R) error) verb {
	return verb{func() any { return *new(R) }, func(ctx context.Context, c *call, body []byte) error {
		var r R
		if err := decodeStrictly(body, &r); err != nil {
			return &Error{Kind: KindInvalid, Message: "the request is not understood: " + err.Error()}
		}
		t := r.target()
		if how == changes && c.ReadOnly && !t.DryRun {
			return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
		}
		_, isNew := any(r).(newcomer)
		p, err := c.place(ctx, t, isNew)
		if err != nil {
			return err
		}
		b, ok := any(r).(aboutBucket)
		ofBucket := ok && b.ofBucket(p)
		if how != asks && !t.DryRun && !ofBucket {
			if err := c.Tree.Settle(ctx, p); err != nil {
				return err
			}
		}
		if n := c.Tree.Unsent(p); n > 0 && !ofBucket {
			if err := c.note(fmt.Sprintf("%s not in the store yet; what the store has is meant", things(int64(n), "file is", "files are"))); err != nil {
				return err
			}
		}
		err = do(ctx, c, p, r)
		if how == changes && !t.DryRun {
			c.Tree.Shown(ctx)
		}
		return err
	}}
}

// Run does a verb. request is its struct, or JSON of it. each gets the lines of the answer, one at a time;
// its error ends the work. What failed is the error returned, with an *Error in its chain.
func (v *Verbs) Run(ctx context.Context, name string, request any, each func(Line) error) error {
	return v.run(ctx, name, request, nil, each)
}

func (v *Verbs) run(ctx context.Context, name string, request any, body io.Reader, each func(Line) error) error {
	row, ok := verbs[name]
	if !ok {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("there is no verb %q", name)}
	}
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if v.For != nil {
		var at Target
		_ = json.Unmarshal(text, &at) // the verb itself refuses what is none
		v = v.For(string(at.Path))
	}
	c := &call{Verbs: v, body: body, each: each, last: time.Now()}
	ctx, done := c.watch(ctx)
	if err := done(row.run(ctx, c, text)); err != nil {
		return wireError(err)
	}
	return nil
}

// decodeStrictly refuses unknown fields and anything after the value.
func decodeStrictly(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// call is one run of a verb.
type call struct {
	*Verbs
	body io.Reader   // of put
	idle atomic.Bool // the store is asked for nothing just now
	each func(Line) error
	// saysOK makes what is done a Deleted.
	saysOK bool

	mu   sync.Mutex // one line at a time; held while it is sent
	step Step
	told time.Time // when step was sent
	last time.Time // when there was something to say, or the store answered
}

func (c *call) send(l Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	return c.each(l)
}

func (c *call) item(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.send(Line{Item: text})
}

func (c *call) result(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.send(Line{Result: text})
}

func (c *call) note(text string) error { return c.send(Line{Note: text}) }

// progress changes the step and sends it, unless that was done a moment ago.
func (c *call) progress(change func(*Step)) error {
	const pause = 200 * time.Millisecond
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.step)
	c.last = time.Now()
	if time.Since(c.told) < pause {
		return nil
	}
	c.told = time.Now()
	step := c.step
	return c.each(Line{Progress: &step})
}

// place locates a target. What is not there now is looked for among the versions, unless it may be new.
func (c *call) place(ctx context.Context, t Target, anew bool) (Place, error) {
	p, err := c.Tree.Locate(ctx, string(t.Path))
	if err != nil {
		return p, err
	}
	if p.Bucket == "" {
		return p, &Error{Kind: KindInvalid, Message: "this is the list of buckets; name a bucket or what is in one"}
	}
	if p.Kind != Unknown || anew {
		return p, nil
	}
	dir := Place{p.Bucket, strings.TrimSuffix(p.Key, "/") + "/", Directory}
	if t.Directory || strings.HasSuffix(p.Key, "/") {
		return dir, nil
	}
	file := Place{p.Bucket, p.Key, File}
	for _, try := range []Place{file, dir} {
		page, err := c.Store.ListVersions(ctx, backend.ListVersionsInput{Bucket: p.Bucket, Prefix: try.Key, MaxKeys: 1})
		if backend.IsKind(err, backend.KindUnsupported) {
			return file, nil // the verb will say what is missing
		}
		if err != nil {
			return p, err
		}
		if len(page.Versions) > 0 && try.holds(page.Versions[0].Key) {
			return try, nil
		}
	}
	return p, &Error{Kind: KindNotFound, Message: fmt.Sprintf("nothing is or was at %s, as far as the store has kept it", p)}
}

// one refuses directories.
func (p Place) one() error {
	if p.Kind == Directory {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a directory; name a file"}
	}
	return nil
}

// tree refuses directories unless all below is meant.
func (p Place) tree(recursive bool) error {
	if p.Kind == Directory && !recursive {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a directory; use --recursive for all that is below it"}
	}
	return nil
}

// things is a number with its noun.
func things(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// Dry tells whether nothing shall be changed.
func (t Target) Dry() bool { return t.DryRun }
