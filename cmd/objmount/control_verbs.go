package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/ctl"
	"github.com/objmount/objmount/fs"
)

// s3Config are the flags of the store in the words of package s3.
func (o *storeOptions) s3Config(log *slog.Logger) s3.Config {
	conf := s3.Config{
		Endpoint: o.endpoint, Region: o.region, Profile: o.profile, CredentialsFile: o.credentialsFile, Anonymous: o.noSignRequest,
		CABundle: o.caBundle, Proxy: o.proxy, MaxAttempts: o.maxAttempts.n, MaxConns: o.maxConnections.n,
		ConnectTimeout: time.Duration(o.connectTimeout), FirstByteTimeout: time.Duration(o.firstByteTimeout), StallTimeout: time.Duration(o.stallTimeout),
		Log: log,
	}
	if o.pathStyle.value != "auto" {
		style := o.pathStyle.value == "true"
		conf.PathStyle = &style
	}
	return conf
}

// Verbs acts on the store of the mount with the mount's credentials, and waits for it as the calls of programs do.
// A URL is of what the mount shows, also of another time.
func (c *control) Verbs() *ctl.Verbs {
	v := &ctl.Verbs{
		Store: c.p.patient, Signer: c.p.view, Tree: lookingTree{mountTree{c.p.fs}, &c.p.unexpired}, Stage: mountStage{c.p.fs, c.p.staging}, Cacher: mountCache{c.p}, Endpoint: c.p.endpoint, ReadOnly: c.p.cfg.readOnly, Now: time.Now,
		Capabilities: func(ctx context.Context, bucket string) (backend.Capabilities, error) {
			return c.p.askCapabilities(ctx, bucket), ctx.Err()
		},
		Defaults: c.p.defaults, Namespaces: c.p.namespaces, PublicURL: c.p.publicURL,
		Alive: c.p.alive, Patience: max(time.Duration(c.p.live.retryTimeout.Load()), time.Nanosecond), // 0 means not to wait, there for ever
		Reload: func(_ context.Context, dry bool) (ctl.Reloaded, error) { return c.p.reload(dry) },
	}
	if v.Remote = c.p.remote().Name; c.p.cfg.several() {
		v.Remotes, v.For = true, func(path string) *ctl.Verbs { return c.p.verbsFor(v, path) }
	}
	return v
}

// alive is a question that costs the store nothing. Of several it is enough that one answers.
func (p *parts) alive(ctx context.Context) error {
	switch {
	case p.cfg.src.bucket != "":
		return p.store.HeadBucket(ctx, p.cfg.src.bucket)
	case p.cfg.several():
		return p.oneAlive(ctx)
	}
	_, err := p.store.ListBuckets(ctx, "")
	return err
}

// mountTree is the inode layer as the verbs see it.
type mountTree struct{ fs *fs.FS }

func (t mountTree) Locate(ctx context.Context, path string) (ctl.Place, error) {
	l, err := t.fs.Locate(ctx, path)
	p := ctl.Place{Bucket: l.Bucket, Key: l.Key}
	switch {
	case l.Dir:
		p.Kind = ctl.Directory
	case l.Exists:
		p.Kind = ctl.File
	}
	if e, ok := errors.AsType[*backend.Error](err); ok && e.Op == "Locate" { // of the tree, which says it in its words
		return p, &ctl.Error{Kind: ctl.KindInvalid, Message: e.Message}
	}
	return p, err
}

func located(p ctl.Place) fs.Located {
	return fs.Located{Bucket: p.Bucket, Key: p.Key, Dir: p.Kind == ctl.Directory, Exists: p.Kind != ctl.Unknown}
}

func (t mountTree) Unsent(p ctl.Place) int { return t.fs.Unsent(located(p)) }

func (t mountTree) Settle(ctx context.Context, p ctl.Place) error {
	if err := t.fs.Settle(ctx, located(p)); err != nil {
		return fmt.Errorf("what was written there cannot be stored: %w", err)
	}
	return nil
}

func (t mountTree) Changed(bucket, key string) { t.fs.Changed(bucket, key) }

func (t mountTree) Shown(ctx context.Context) {
	const patience = 2 * time.Second // the kernel may hold a directory for a program that waits for the store
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t.fs.Notified(ctx)
}
