package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

// bareStore is a store without a mount, with the credentials of who runs the command.
type bareStore struct {
	*s3.Store
	verbs *ctl.Verbs

	mu    sync.Mutex
	known map[string]backend.Capabilities // by bucket
}

// openBare connects to the store of a remote, or of the flags and the environment alone (nil); no request is made yet.
func openBare(ctx context.Context, o *options, flags *pflag.FlagSet, r *configfile.Remote) (*bareStore, error) {
	so, err := o.storeFor(flags, r)
	if err != nil {
		return nil, err
	}
	if err := so.checkStore(); err != nil {
		return nil, err
	}
	if err := so.nameProfile(); err != nil {
		return nil, err
	}
	conf := so.s3Config(slog.New(slog.DiscardHandler))
	tellStore(&conf, r, func() *configfile.Remote { return r })
	store, err := s3.Open(ctx, conf)
	if err != nil {
		if err = explainOpen(err); r != nil {
			err = ofRemote(r.Name, err)
		}
		return nil, err
	}
	b := &bareStore{Store: store, known: map[string]backend.Capabilities{}}
	b.verbs = &ctl.Verbs{Store: store, Tree: bareTree{store}, Endpoint: store.Endpoint(), Now: time.Now, Capabilities: b.capabilities}
	b.verbs.Try = b.try
	configured(b.verbs, r)
	if r != nil {
		b.verbs.Remote = r.Name
	}
	return b, nil
}

// capabilities asks once for each bucket, without trying anything.
func (b *bareStore) capabilities(ctx context.Context, bucket string) (backend.Capabilities, error) {
	b.mu.Lock()
	caps, ok := b.known[bucket]
	b.mu.Unlock()
	if ok {
		return caps, nil
	}
	caps, err := b.Store.Capabilities(ctx, bucket, "", false)
	if err == nil {
		b.mu.Lock()
		b.known[bucket] = caps
		b.mu.Unlock()
	}
	return caps, err
}

// try asks the store by scratch objects in the directory of an object, once for each bucket.
func (b *bareStore) try(ctx context.Context, id backend.ObjectID) (backend.Capabilities, error) {
	caps, err := b.Store.Capabilities(ctx, id.Bucket, id.Key[:strings.LastIndexByte(id.Key, '/')+1], true)
	if err == nil {
		b.mu.Lock()
		b.known[id.Bucket] = caps
		b.mu.Unlock()
	}
	return caps, err
}

// bareTree is the plain order of keys: a path is BUCKET/KEY, and every key is a name as it is.
type bareTree struct {
	store interface {
		backend.Reader
		backend.Lister
		HeadBucket(ctx context.Context, bucket string) error // of backend.Buckets
	}
}

// Locate asks for the bucket, whose answer also tells what kind of store it is, and then for the object: a key without a
// slash at its end is one, as in every S3 client. Who may not ask for the bucket may still have rights to the object.
func (t bareTree) Locate(ctx context.Context, path string) (ctl.Place, error) {
	bucket, key, _ := strings.Cut(path, "/")
	p := ctl.Place{Bucket: bucket, Key: key}
	if bucket == "" {
		p.Kind = ctl.Directory
		return p, nil
	}
	if err := t.store.HeadBucket(ctx, bucket); err != nil && (key == "" || !backend.IsKind(err, backend.KindPermission)) {
		return p, err
	}
	if key == "" || strings.HasSuffix(key, "/") {
		p.Kind = ctl.Directory
		return p, nil
	}
	_, err := t.store.Head(ctx, backend.ObjectID{Bucket: bucket, Key: key}, backend.GetOptions{})
	if err == nil {
		p.Kind = ctl.File
		return p, nil
	}
	if !backend.IsKind(err, backend.KindNotExist) {
		return p, err
	}
	page, err := t.store.List(ctx, backend.ListInput{Bucket: bucket, Prefix: key + "/", MaxKeys: 1})
	if err == nil && len(page.Objects) > 0 {
		p.Key, p.Kind = key+"/", ctl.Directory
	}
	return p, err
}

func (bareTree) Unsent(ctl.Place) int                    { return 0 }
func (bareTree) Settle(context.Context, ctl.Place) error { return nil }
func (bareTree) Changed(string, string)                  {}
func (bareTree) Shown(context.Context)                   {}
