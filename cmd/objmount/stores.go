package main

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/remotes"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

// storeConfig is what is known of one store of a mount before it is opened.
type storeConfig struct {
	remote *configfile.Remote // when the file was read; nil: the store is no remote
	storeOptions
}

// mountedStore is one store of a mount: the one of its source, or a remote of several.
type mountedStore struct {
	name         string // of the remote where there are several, else empty
	store        *s3.Store
	patient      *patient // the same store, for everything but uploads
	capabilities *capabilities
	unusable     error // why a remote of several cannot be opened; nil: it can
}

// several tells whether the mount shows remotes side by side: buckets are named REMOTE/BUCKET then.
func (c *config) several() bool { return c.src.remote == allRemotes }

// allStores returns the settings of every remote of the configuration file, for a mount of all.
func (o *options) allStores(given *pflag.FlagSet) ([]storeConfig, error) {
	if o.file == nil || len(o.file.Remotes) == 0 {
		return nil, usage("SOURCE all: shows the remotes of the configuration file, and there is none; write %s, or name one with --config", strings.Join(configPlaces(), " or "))
	}
	if o.remoteName != "" && o.from.public("remote") { // a variable is for those that name none
		return nil, usage("%s=%s: SOURCE all: shows every remote; write %s: for that one alone", o.from.told("remote"), o.remoteName, o.remoteName)
	}
	if flag := o.storeGiven(given); flag != "" {
		return nil, usage("%s: SOURCE all: has several stores, and it is not said which one is meant; set it in %s, in the table of a remote", flag, o.file.Path)
	}
	var all []storeConfig
	for _, r := range o.file.Remotes {
		so, err := o.storeFor(given, r)
		if err == nil {
			err = so.checkSettings()
		}
		if err != nil {
			return nil, err
		}
		all = append(all, storeConfig{r, so})
	}
	return all, nil
}

// openStores opens what the source names. No request is made.
func (p *parts) openStores(ctx context.Context) error {
	var all []remotes.Remote
	var waiting []remotes.Remote
	for _, c := range p.cfg.stores {
		m, err := p.openOne(ctx, c)
		if err != nil {
			return err
		}
		p.stores = append(p.stores, m)
		all, waiting = append(all, remotes.Remote{Name: m.name, Store: m.store}), append(waiting, remotes.Remote{Name: m.name, Store: m.patient})
	}
	if !p.cfg.several() {
		one := p.stores[0]
		p.store, p.patient, p.endpoint = one.store, one.patient, one.store.Endpoint()
		return nil
	}
	p.endpoint = endpointOfAll(p.stores)
	var err error
	if p.store, err = remotes.New(all...); err == nil {
		p.patient, err = remotes.New(waiting...)
	}
	if err != nil {
		return fail(exitFailed, "the remotes cannot be joined: %v", err)
	}
	return nil
}

// openOne opens a store. One of several that cannot be used is opened such that it says why.
func (p *parts) openOne(ctx context.Context, c storeConfig) (*mountedStore, error) {
	m := &mountedStore{}
	log := p.log
	if p.cfg.several() {
		m.name = c.remote.Name
		log = log.With(slog.String("remote", m.name))
	}
	var why error
	if p.cfg.several() {
		why = cmp.Or(c.nameProfile(), c.checkBundle())
	}
	conf := c.s3Config(log)
	p.configure(&conf, c.remote)
	conf.RepeatFor = func() time.Duration { return time.Duration(p.live.retryTimeout.Load()) }
	if why == nil {
		var err error
		if m.store, err = s3.Open(ctx, conf); err != nil {
			why = explainOpen(err)
		}
	}
	if why != nil {
		if !p.cfg.several() {
			return nil, why
		}
		var err error
		if m.store, err = s3.OpenUnusable(conf, why); err != nil {
			return nil, ofRemote(m.name, why)
		}
		m.unusable = why
	}
	p.closeLater(func(context.Context) error { return m.store.Close() })
	m.patient = &patient{Store: m.store, limit: &p.live.retryTimeout, log: log}
	return m, nil
}

// ofRemote says which remote an explanation is about.
func ofRemote(name string, err error) error {
	return fail(codeOf(err), "remote %s: %v", name, err)
}

// endpointOfAll stands for several stores in names of journals and caches, and tells names and addresses.
func endpointOfAll(stores []*mountedStore) string {
	var each []string
	for _, m := range stores {
		each = append(each, m.name+"="+m.store.Endpoint())
	}
	slices.Sort(each)
	return allEndpoints + strings.Join(each, ",")
}

// allEndpoints begins the endpoint of several stores; no host begins so.
const allEndpoints = allRemotes + ":"

// withinRemotes tells whether every remote of other is one of these, under the same name and at the same address.
// Both are endpoints as endpointOfAll makes them.
func withinRemotes(these, other string) bool {
	list, several := strings.CutPrefix(these, allEndpoints)
	others, too := strings.CutPrefix(other, allEndpoints)
	if !several || !too {
		return false
	}
	has := strings.Split(list, ",")
	return !slices.ContainsFunc(strings.Split(others, ","), func(one string) bool { return !slices.Contains(has, one) })
}

// reachPatience is how long a mount of several stores waits for the others after one has answered.
const reachPatience = 5 * time.Second

// reachAll asks every remote what a mount of it asks. One that does not answer as it should is told in the log and
// does not keep the others from being mounted; if none does, the mount fails.
func (p *parts) reachAll(ctx context.Context) error {
	answers, end := p.askAll(ctx)
	defer end()
	failed := map[*mountedStore]error{}
	var late <-chan time.Time
	for waiting := slices.Clone(p.stores); len(waiting) > 0; {
		select {
		case a := <-answers:
			waiting = slices.DeleteFunc(waiting, func(m *mountedStore) bool { return m == a.m })
			if a.err != nil {
				failed[a.m] = a.err
				p.unreached(a.m, a.err)
			}
			if late == nil && usable(a.err) {
				late = time.After(reachPatience)
			}
		case <-late:
			for _, m := range waiting {
				p.unreached(m, &backend.Error{Kind: backend.KindUnreachable, Op: "ListBuckets", Message: "no answer yet"})
			}
			return nil
		case <-ctx.Done():
			return fail(exitInterrupted, "interrupted while asking the remotes")
		}
	}
	if late != nil {
		return nil
	}
	first := p.stores[0]
	if first.unusable != nil {
		return ofRemote(first.name, first.unusable)
	}
	i := slices.IndexFunc(p.cfg.stores, func(c storeConfig) bool { return c.remote.Name == first.name })
	return ofRemote(first.name, explainStore(source{remote: first.name}, first.store.Endpoint(), p.cfg.stores[i].noSignRequest, failed[first]))
}

// oneAlive asks all remotes at once and returns with the first that answers; the error is that of the last one.
func (p *parts) oneAlive(ctx context.Context) error {
	answers, end := p.askAll(ctx)
	defer end()
	var err error
	for range p.stores {
		err = (<-answers).err
		if k := backend.KindOf(err); err == nil || k != backend.KindUnreachable && k != backend.KindTransient {
			return nil
		}
	}
	return err
}

// A storeAnswer is what a store said when it was asked for its buckets.
type storeAnswer struct {
	m   *mountedStore
	err error
}

// askAll asks all stores at once; each gives one answer. end stops who has not answered, and waits for them.
func (p *parts) askAll(ctx context.Context) (answers <-chan storeAnswer, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	all := make(chan storeAnswer, len(p.stores))
	var asking sync.WaitGroup
	for _, m := range p.stores {
		asking.Go(func() {
			_, err := m.store.ListBuckets(ctx, "")
			all <- storeAnswer{m, err}
		})
	}
	return all, func() {
		cancel()
		asking.Wait()
	}
}

// usable tells whether a store has answered such that something may work: who may not list the buckets may know their names.
func usable(err error) bool { return err == nil || backend.IsKind(err, backend.KindPermission) }

func (p *parts) unreached(m *mountedStore, err error) {
	m.patient.note(err)
	p.log.Warn("a remote does not work now; the others are mounted all the same", slog.String("remote", m.name),
		slog.String("endpoint", m.store.Endpoint()), slog.String("error", reason(err)))
}

// storeOf returns the store that holds a bucket, and the bucket's own name there. nil: there is no such remote.
func (p *parts) storeOf(bucket string) (m *mountedStore, own string) {
	if !p.cfg.several() {
		return p.stores[0], bucket
	}
	name, own, ok := remotes.Split(bucket)
	i := slices.IndexFunc(p.stores, func(m *mountedStore) bool { return m.name == name })
	if !ok || i < 0 {
		return nil, ""
	}
	return p.stores[i], own
}

// askCapabilities tells what can be done with a bucket; see capabilities.ask.
func (p *parts) askCapabilities(ctx context.Context, bucket string) backend.Capabilities {
	m, own := p.storeOf(bucket)
	if m == nil {
		return backend.Capabilities{Vendor: "unknown", Limits: backend.S3Limits()}
	}
	return m.capabilities.ask(ctx, own)
}

// knownCapabilities is askCapabilities for those who do not wait for somebody.
func (p *parts) knownCapabilities(bucket string) backend.Capabilities {
	return p.askCapabilities(context.Background(), bucket)
}

// configure tells a store what the configuration file says of it besides its settings.
func (p *parts) configure(conf *s3.Config, r *configfile.Remote) {
	if r == nil {
		return
	}
	tellStore(conf, r, func() *configfile.Remote { return p.remoteNamed(r.Name) })
}

// remoteName is the remote of a bucket; empty in a mount of one store.
func (p *parts) remoteName(bucket string) string {
	if !p.cfg.several() {
		return ""
	}
	name, _, _ := remotes.Split(bucket)
	return name
}

// groups are the directories of the root: none, or the remotes.
func (p *parts) groups() []string {
	if !p.cfg.several() {
		return nil
	}
	var names []string
	for _, m := range p.stores {
		names = append(names, m.name)
	}
	return names
}

// remotesNow is what status says about each remote.
func (p *parts) remotesNow() []ctl.Remote {
	list := make([]ctl.Remote, 0, len(p.stores))
	for _, m := range p.stores {
		r := ctl.Remote{Name: m.name, Endpoint: m.store.Endpoint()}
		if why := m.patient.failing.Load(); why != nil {
			r.Failing = *why
		}
		list = append(list, r)
	}
	return list
}

// verbsFor returns the verbs that know the store of a path: its name, and whether it answers.
func (p *parts) verbsFor(all *ctl.Verbs, path string) *ctl.Verbs {
	name, _, _ := strings.Cut(strings.Trim(path, "/"), "/")
	i := slices.IndexFunc(p.stores, func(m *mountedStore) bool { return m.name == name })
	if i < 0 {
		return all
	}
	one, m := *all, p.stores[i]
	one.Endpoint = m.store.Endpoint()
	one.Alive = func(ctx context.Context) error {
		_, err := m.store.ListBuckets(ctx, "")
		return err
	}
	return &one
}
