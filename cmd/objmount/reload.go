package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

// live are the settings that a reload changes while the mount runs. They are safe for concurrent use.
type live struct {
	level        slog.LevelVar
	retryTimeout atomic.Int64 // nanoseconds
	drainTimeout atomic.Int64 // nanoseconds

	reloading sync.Mutex        // one reload at a time; nothing else takes it
	values    map[string]string // what the mount has of what the file decides; nil: what the file said at first. For who holds reloading
}

func newLive(o *options) *live {
	l := &live{}
	l.level.Set(levelOf(o.logLevel.value))
	l.retryTimeout.Store(int64(o.retryTimeout))
	l.drainTimeout.Store(int64(o.drainTimeout))
	return l
}

// changeable are the flags whose values can change while a mount runs.
var changeable = []string{"log-level", "metadata-ttl", "negative-ttl", "retry-timeout", "drain-timeout"}

// apply makes the values of changeable flags those of the mount. o has them where the file decides.
func (p *parts) apply(o *options, decided func(name string) bool) {
	c := p.cfg
	pick := func(name string, given, file interval) time.Duration {
		if decided(name) {
			return time.Duration(file)
		}
		return time.Duration(given)
	}
	if decided("log-level") {
		p.live.level.Set(levelOf(o.logLevel.value))
	}
	p.fs.SetTTL(pick("metadata-ttl", c.metadataTTL, o.metadataTTL), pick("negative-ttl", c.negativeTTL, o.negativeTTL))
	retry := pick("retry-timeout", c.retryTimeout, o.retryTimeout)
	p.live.retryTimeout.Store(int64(retry))
	p.queue.SetRetryTimeout(queuePatience(retry))
	p.live.drainTimeout.Store(int64(pick("drain-timeout", c.drainTimeout, o.drainTimeout)))
}

// fromFile returns, by name, what the file decides of the flags of a mount: its own values, and the defaults where it says nothing. Names of
// the store's flags have the remote before them when there are several.
func (c *config) fromFile(file *configfile.File) (map[string]string, *options, error) {
	fresh := newOptions()
	fresh.file = file
	set := pflag.NewFlagSet("mount", pflag.ContinueOnError)
	for _, g := range fresh.groups() {
		if g.title != storeTitle {
			set.AddFlagSet(g.flags)
		}
	}
	for _, s := range file.Mount {
		if err := fresh.setFrom(set.Lookup(s.Name), settingFrom(file, s), s.Value); err != nil {
			return nil, nil, err
		}
	}
	values := map[string]string{}
	set.VisitAll(func(f *pflag.Flag) {
		if !c.given.Changed(f.Name) && !c.pastDecides(f.Name) {
			values[f.Name] = f.Value.String()
		}
	})
	for _, s := range c.stores {
		if s.remote == nil {
			continue
		}
		r := file.Remote(s.remote.Name)
		if r == nil {
			return nil, nil, fmt.Errorf("%s has no remote %q any more, which is mounted", file.Path, s.remote.Name)
		}
		so, err := fresh.storeFor(c.given, r)
		if err == nil {
			err = so.checkStore()
		}
		if err != nil {
			return nil, nil, err
		}
		for name, value := range so.values() {
			if !c.given.Changed(name) {
				values[c.nameIn(r, name)] = value
			}
		}
	}
	return values, fresh, nil
}

// nameIn is the name of a remote's setting among those of the mount.
func (c *config) nameIn(r *configfile.Remote, name string) string {
	if c.several() {
		return r.Name + "." + name
	}
	return name
}

// values are the flags of a store as texts. What may be a password in them is masked.
func (o storeOptions) values() map[string]string {
	all := newOptions()
	set := all.storeFlagSet()
	all.storeOptions = o // after the flags have set their defaults
	values := map[string]string{}
	set.VisitAll(func(f *pflag.Flag) { values[f.Name] = f.Value.String() })
	if u, err := url.Parse(o.proxy); err == nil && u.User != nil {
		values["proxy"] = u.Redacted()
	}
	return values
}

// reload reads the configuration file again and makes of it what can be made while the mount runs. With an error everything is as it was;
// with dry too. It is safe for concurrent use.
func (p *parts) reload(dry bool) (ctl.Reloaded, error) {
	c := p.cfg
	if c.file == nil {
		return ctl.Reloaded{}, &ctl.Error{Kind: ctl.KindInvalid, Message: "it was mounted without a configuration file; mount it again to use one"}
	}
	p.live.reloading.Lock()
	defer p.live.reloading.Unlock()
	file, err := configfile.Load(c.file.Path, fileFlags())
	var next map[string]string
	var fresh *options
	if err == nil {
		next, fresh, err = c.fromFile(file)
	}
	if err != nil {
		return ctl.Reloaded{}, &ctl.Error{Kind: ctl.KindInvalid, Message: err.Error() + "; everything stays as it was"}
	}
	if p.live.values == nil {
		if p.live.values, _, err = c.fromFile(c.file); err != nil {
			return ctl.Reloaded{}, err
		}
	}
	done := ctl.Reloaded{File: c.file.Path, Remotes: []string{}, Applied: []ctl.Setting{}, Remount: []ctl.Setting{}, Overridden: []ctl.Setting{}, Unchanged: []string{}, DryRun: dry}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		s := ctl.Setting{Name: name, From: p.live.values[name], To: next[name]}
		switch {
		case s.From == s.To:
		case slices.Contains(changeable, name):
			done.Applied = append(done.Applied, s)
		default:
			done.Remount = append(done.Remount, s)
		}
	}
	swap := p.compareRemotes(file, &done)
	c.tellRest(file, &done)
	if dry {
		return done, nil
	}
	for _, s := range done.Applied {
		if slices.Contains(changeable, s.Name) {
			p.live.values[s.Name] = s.To
		}
	}
	early := p.log.Enabled(context.Background(), slog.LevelInfo) // or only from now on
	if early {
		p.logReloaded(done)
	}
	p.apply(fresh, func(name string) bool { _, ok := next[name]; return ok })
	if swap {
		p.file.Store(file)
		p.unexpired.ask()
	}
	if !early {
		p.logReloaded(done)
	}
	return done, nil
}

func (p *parts) logReloaded(done ctl.Reloaded) {
	names := func(list []ctl.Setting) string {
		var all []string
		for _, s := range list {
			all = append(all, s.Name)
		}
		return strings.Join(all, " ")
	}
	p.log.Info("the configuration file was read again", slog.String("file", done.File), slog.String("applied", names(done.Applied)), slog.String("needs_a_new_mount", names(done.Remount)))
}

// compareRemotes tells what else the file says of the mount's remotes now. swap is false when it cannot be taken over while the mount runs.
func (p *parts) compareRemotes(file *configfile.File, done *ctl.Reloaded) (swap bool) {
	swap = true
	var changed []ctl.Setting
	for _, s := range p.cfg.stores {
		if s.remote == nil {
			continue
		}
		was, r := p.remoteNamed(s.remote.Name), file.Remote(s.remote.Name)
		done.Remotes = append(done.Remotes, r.Name)
		for _, part := range []struct {
			name string
			same bool
		}{
			{"prefix", reflect.DeepEqual(plainRules(was), plainRules(r))},
			{"namespace", reflect.DeepEqual(plainNamespaces(was), plainNamespaces(r))},
			{"public-url", was.PublicURL == r.PublicURL},
		} {
			if !part.same {
				changed = append(changed, ctl.Setting{Name: p.cfg.nameIn(r, part.name)})
			}
		}
		if s.remote.Vendor != r.Vendor {
			done.Remount = append(done.Remount, ctl.Setting{Name: p.cfg.nameIn(r, "vendor"), From: s.remote.Vendor, To: r.Vendor})
		}
		if hasKeys(r) && !hasKeys(s.remote) { // its requests were made without a place for keys
			swap = false
		}
	}
	if swap {
		done.Applied = append(done.Applied, changed...)
	} else {
		done.Remount = append(done.Remount, changed...)
	}
	if to := p.cfg.leadsTo(file); to != nil {
		done.Remount = append(done.Remount, *to)
	}
	return swap
}

// leadsTo tells whether a new mount of the same source would be one of other remotes; nil: it would not.
func (c *config) leadsTo(file *configfile.File) *ctl.Setting {
	names := func(f *configfile.File) string {
		var list []string
		for _, r := range f.Remotes {
			list = append(list, r.Name)
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	name := func(r *configfile.Remote) string {
		if r == nil {
			return ""
		}
		return r.Name
	}
	route := &ctl.Setting{Name: "buckets", From: name(c.remote)}
	switch {
	case c.several():
		*route = ctl.Setting{Name: "remote", From: names(c.file), To: names(file)}
	case c.src.remote != "" || c.remoteName != "":
		return nil
	case c.src.bucket == "":
		route.Name, route.To = "default-remote", file.Default
	default:
		route.To = name(file.Route(c.src.bucket))
	}
	if route.From == route.To {
		return nil
	}
	return route
}

// tellRest adds what is in the file and did not change, or does not count.
func (c *config) tellRest(file *configfile.File, done *ctl.Reloaded) {
	changed := map[string]bool{}
	for _, s := range slices.Concat(done.Applied, done.Remount) {
		changed[s.Name] = true
	}
	tell := func(flag, name string) {
		switch {
		case c.pastDecides(flag):
			done.Overridden = append(done.Overridden, ctl.Setting{Name: name, From: "--at"})
		case c.given.Changed(flag):
			done.Overridden = append(done.Overridden, ctl.Setting{Name: name, From: c.from.told(flag)})
		case !changed[name]:
			done.Unchanged = append(done.Unchanged, name)
		}
	}
	for _, s := range file.Mount {
		tell(s.Name, s.Name)
	}
	for _, name := range done.Remotes {
		r := file.Remote(name)
		for _, s := range r.Settings {
			tell(s.Name, c.nameIn(r, s.Name))
		}
	}
}

// hasKeys tells whether objects of a remote have keys of SSE-C.
func hasKeys(r *configfile.Remote) bool {
	return slices.ContainsFunc(r.Rules, func(rule configfile.Rule) bool { return rule.Key != nil })
}

// plainRules and plainNamespaces are without the lines that they stand in.
func plainRules(r *configfile.Remote) []configfile.Rule {
	var all []configfile.Rule
	for _, rule := range r.Rules {
		rule.Line = 0
		all = append(all, rule)
	}
	return all
}

func plainNamespaces(r *configfile.Remote) []configfile.Namespace {
	var all []configfile.Namespace
	for _, n := range r.Namespaces {
		n.Line = 0
		all = append(all, n)
	}
	return all
}

// reloadBySignal is reload without anybody to tell but the log.
func (p *parts) reloadBySignal() {
	if _, err := p.reload(false); err != nil {
		p.log.Warn("the configuration file was read again and is not used", slog.String("error", err.Error()))
	}
}
