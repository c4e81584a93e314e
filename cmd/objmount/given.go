package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/remotes"
	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

// What the configuration file gives to new objects, and which namespaces it has, as it is now: each call asks anew, so a reload counts
// from then on.

// remoteOf returns the remote that a bucket of the mount is of, and the bucket's own name there.
func (p *parts) remoteOf(bucket string) (r *configfile.Remote, own string) {
	if !p.cfg.several() {
		return p.remote(), bucket
	}
	name, own, _ := remotes.Split(bucket)
	return p.remoteNamed(name), own
}

func (p *parts) defaults(id backend.ObjectID) backend.Properties {
	r, bucket := p.remoteOf(id.Bucket)
	return r.Defaults(bucket, id.Key, time.Now())
}

func (p *parts) namespaces(bucket string) []ctl.Namespace {
	r, own := p.remoteOf(bucket)
	return namespacesOf(r, own)
}

// present are the prefixes that are directories whatever is in the store. None were there in the past.
func (p *parts) present(bucket string) (prefixes []string) {
	if !p.cfg.at.IsZero() {
		return nil
	}
	r, own := p.remoteOf(bucket)
	for _, n := range r.NamespacesOf(own) {
		prefixes = append(prefixes, n.Prefix)
	}
	return prefixes
}

// publicURL is where everybody can read an object. What a mount of another time shows is not there.
func (p *parts) publicURL(id backend.ObjectID) string {
	if !p.cfg.at.IsZero() {
		return ""
	}
	r, bucket := p.remoteOf(id.Bucket)
	return r.PublicURLOf(bucket, id.Key)
}

// namespacesOf are those of a bucket with what new objects get there.
func namespacesOf(r *configfile.Remote, bucket string) (all []ctl.Namespace) {
	for _, n := range r.NamespacesOf(bucket) {
		given := r.Defaults(bucket, n.Prefix, time.Now())
		all = append(all, ctl.Namespace{Name: n.Name, Prefix: n.Prefix, Expire: n.Expire, StorageClass: given.StorageClass, Tags: given.Tags})
	}
	return all
}

// configured gives the verbs for a store without a mount what the configuration has for it; r is nil without any.
func configured(v *ctl.Verbs, r *configfile.Remote) {
	if r == nil {
		return
	}
	v.Defaults = func(id backend.ObjectID) backend.Properties { return r.Defaults(id.Bucket, id.Key, time.Now()) }
	v.PublicURL = func(id backend.ObjectID) string { return r.PublicURLOf(id.Bucket, id.Key) }
	v.Namespaces = func(bucket string) []ctl.Namespace { return namespacesOf(r, bucket) }
}

// narrow makes the source the part of the bucket that --namespace names.
func (c *config) narrow() error {
	if c.namespace == "" {
		return nil
	}
	flag := c.from.told("namespace") + "=" + c.namespace
	switch {
	case c.src.bucket == "":
		return usage("%s is a part of a bucket, and SOURCE %s names none; write %sBUCKET", flag, c.src, c.src)
	case c.src.prefix != "":
		return usage("%s and SOURCE %s: a namespace is a part of the whole bucket; leave the prefix out", flag, c.src)
	case c.remote == nil:
		return usage("%s: namespaces come from a remote of the configuration file, and no remote is for %s", flag, c.src)
	}
	var known []string
	for _, n := range c.remote.NamespacesOf(c.src.bucket) {
		if n.Name == c.namespace {
			c.src.prefix = n.Prefix
			return nil
		}
		known = append(known, n.Name)
	}
	if len(known) == 0 {
		return usage("%s: remote %s in %s has no namespaces for the bucket %s", flag, c.remote.Name, c.file.Path, c.src.bucket)
	}
	return usage("%s: remote %s in %s has no such namespace for the bucket %s; it has %s", flag, c.remote.Name, c.file.Path, c.src.bucket, strings.Join(known, ", "))
}

// unexpired are the namespaces of the mounted bucket that do not expire as configured, as far as is known.
type unexpired struct {
	again  chan struct{} // nil: nobody looks
	states atomic.Pointer[[]ctl.NamespaceState]
}

// ask makes it look once more, in the background.
func (u *unexpired) ask() {
	select {
	case u.again <- struct{}{}:
	default: // it will, or nobody looks
	}
}

// openNamespaces looks, in the background, whether the namespaces of the mounted bucket expire as they should: nothing else would say
// that temporary files stay. A mount changes no lifecycle rule by itself, because that deletes data.
func (p *parts) openNamespaces(context.Context) error {
	if c := p.cfg; c.file == nil || c.readOnly || c.src.bucket == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	p.unexpired.again = make(chan struct{}, 1)
	go func() {
		defer close(ended)
		for {
			select {
			case <-p.unexpired.again:
				p.lookAtNamespaces(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	p.closeLater(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	p.unexpired.ask()
	return nil
}

// lookAtNamespaces makes three small requests if any namespace expires, else none.
func (p *parts) lookAtNamespaces(ctx context.Context) {
	bucket := p.cfg.src.bucket
	var wrong []ctl.NamespaceState
	defer func() { p.unexpired.states.Store(&wrong) }()
	all := p.namespaces(bucket)
	if !slices.ContainsFunc(all, func(n ctl.Namespace) bool { return n.Expire > 0 }) {
		return
	}
	r := ctl.NamespaceRequest{Target: ctl.Target{Path: ctl.Text(bucket)}} // other mounts may have other ones
	for _, n := range all {
		r.Names = append(r.Names, n.Name)
	}
	store := p.stores[0].store
	v := &ctl.Verbs{Store: store, Tree: bareTree{store}, Endpoint: p.endpoint, Now: time.Now, Namespaces: p.namespaces}
	err := v.Run(ctx, "namespace/list", r, func(l ctl.Line) error {
		var s ctl.NamespaceState
		if l.Item == nil {
			return nil
		}
		if err := json.Unmarshal(l.Item, &s); err != nil {
			return err
		}
		if s.Rule != "" && s.Rule != ctl.RuleInstalled {
			wrong = append(wrong, s)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		p.log.Info("it is not known whether namespaces expire", slog.String("bucket", bucket), slog.String("error", err.Error()))
	}
	for _, s := range wrong {
		p.log.Warn("a namespace does not expire as configured", slog.String("name", s.Name),
			slog.String("bucket", source{remote: p.cfg.src.remote, bucket: s.Bucket}.String()), slog.String("reason", unexpiredText(s)))
	}
}

// unexpiredText says what is wrong with the expiry of a namespace, and what to do.
func unexpiredText(s ctl.NamespaceState) string {
	prefix, why := printable(ctl.Text(s.Prefix)), ""
	switch s.Rule {
	case ctl.RuleUnconfigured:
		return prefix + " still expires by a lifecycle rule that is not configured any more; objmount ctl namespace install removes it"
	case ctl.RuleUnsupported:
		why = "the store has no lifecycle rules"
	case ctl.RuleDifferent:
		why = "the bucket has another lifecycle rule; objmount ctl namespace install changes it"
	default:
		why = "the bucket has no lifecycle rule for it; objmount ctl namespace install makes it"
	}
	return fmt.Sprintf("%s does not expire after %s: %s", prefix, plural(s.Expire, "day"), why)
}

// namespacesNow is what status says.
func (p *parts) namespacesNow() []ctl.NamespaceState {
	if states := p.unexpired.states.Load(); states != nil {
		return *states
	}
	return nil
}

// lookingTree is the tree of the mount for verbs, which may change lifecycle rules.
type lookingTree struct {
	mountTree
	unexpired *unexpired
}

func (t lookingTree) Changed(bucket, key string) {
	t.mountTree.Changed(bucket, key)
	if key == "" {
		t.unexpired.ask()
	}
}
