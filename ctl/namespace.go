package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// Namespace is a part of a bucket that the configuration names: what is below a prefix.
type Namespace struct {
	Name         string            `json:"name"`
	Prefix       string            `json:"prefix"`                  // ends in "/"
	Expire       int               `json:"expire_days,omitempty"`   // after so many days objects are removed; 0: never
	StorageClass string            `json:"storage_class,omitempty"` // of new objects; empty: the bucket's default
	Tags         map[string]string `json:"tags,omitempty"`          // of new objects
}

// UsualNamespaces are those that a bucket can be made with where the configuration does not define others.
func UsualNamespaces() []Namespace {
	return []Namespace{{Name: "data", Prefix: "data/"}, {Name: "tmp", Prefix: "tmp/", Expire: 7}, {Name: "result", Prefix: "result/"}}
}

// The states of the lifecycle rule of a namespace.
const (
	RuleInstalled    = "installed"    // as configured
	RuleMissing      = "missing"      // objects do not expire
	RuleDifferent    = "different"    // from what is configured
	RuleUnconfigured = "unconfigured" // the configuration has no such namespace, or none that expires
	RuleUnsupported  = "unsupported"  // the store has no lifecycle rules
)

// NamespaceState is a namespace, and whether the bucket has the lifecycle rule that it needs.
type NamespaceState struct {
	Bucket string `json:"bucket"`
	Namespace
	Rule    string `json:"rule,omitempty"`    // one of the states; empty: none is there, and none needed
	Changed string `json:"changed,omitempty"` // added, updated or removed; in a dry run what would be
}

// NamespaceRequest names namespaces of a bucket.
type NamespaceRequest struct {
	Target
	Names []string `json:"names,omitempty"` // empty: all
}

func nameOfLifecycle(NamespaceRequest) string { return backend.LifecycleDoc.String() }

// configured are the namespaces that a bucket is to have.
func (c *call) configured(bucket string) []Namespace {
	if c.Namespaces == nil {
		return nil
	}
	return c.Namespaces(bucket)
}

// unconfigured are namespaces of which there is only a rule, sorted.
func (l *lifecycle) unconfigured() (states []NamespaceState) {
	known := l.configured(l.bucket)
	for name, e := range l.found {
		if !slices.ContainsFunc(known, func(n Namespace) bool { return n.Name == name }) {
			n := Namespace{Name: name, Prefix: e.Filter.Prefix, Expire: e.Expiration.Days}
			states = append(states, NamespaceState{Bucket: l.bucket, Namespace: n, Rule: RuleUnconfigured})
		}
	}
	slices.SortFunc(states, func(a, b NamespaceState) int { return strings.Compare(a.Name, b.Name) })
	return states
}

func listNamespaces(ctx context.Context, d *document, r NamespaceRequest) error {
	chosen, err := d.chosen(r.Names)
	if err != nil {
		return err
	}
	l, err := d.lifecycle(ctx)
	switch {
	case KindOf(err) == KindUnsupported:
		return d.tell(statesOf(d.bucket, chosen, RuleUnsupported))
	case err != nil:
		return err
	}
	var states []NamespaceState
	for _, n := range chosen {
		states = append(states, l.state(n))
	}
	if len(r.Names) == 0 {
		states = append(states, l.unconfigured()...)
	}
	return d.tell(states)
}

func (c *call) tell(states []NamespaceState) error {
	for _, s := range states {
		if err := c.item(s); err != nil {
			return err
		}
	}
	return nil
}

// chosen are the configured namespaces of these names; of none, all.
func (d *document) chosen(names []string) ([]Namespace, error) {
	return choose(d.configured(d.bucket), names, "the configuration has no namespace %q for the bucket "+d.bucket)
}

func choose(of []Namespace, names []string, lacking string) ([]Namespace, error) {
	if len(names) == 0 {
		return of, nil
	}
	var chosen []Namespace
	for _, name := range names {
		i := slices.IndexFunc(of, func(n Namespace) bool { return n.Name == name })
		if i < 0 {
			var known []string
			for _, n := range of {
				known = append(known, n.Name)
			}
			text := fmt.Sprintf(lacking, name)
			if len(known) > 0 {
				text += "; there are " + strings.Join(known, ", ")
			}
			return nil, &Error{Kind: KindInvalid, Message: text}
		}
		chosen = append(chosen, of[i])
	}
	return chosen, nil
}

// installNamespaces makes the lifecycle rules what the configuration says.
func installNamespaces(ctx context.Context, d *document, r NamespaceRequest) error {
	chosen, err := d.chosen(r.Names)
	if err == nil && len(chosen) == 0 {
		err = &Error{Kind: KindInvalid, Message: fmt.Sprintf("the configuration has no namespaces for the bucket %s", d.bucket)}
	}
	if err != nil {
		return err
	}
	states, err := d.install(ctx, chosen, r.DryRun)
	if err != nil {
		return err
	}
	return d.tell(states)
}

// install makes the lifecycle rules of namespaces what they should be, in one request if any has to change.
func (d *document) install(ctx context.Context, chosen []Namespace, dry bool) ([]NamespaceState, error) {
	expires := slices.ContainsFunc(chosen, func(n Namespace) bool { return n.Expire > 0 })
	l, err := d.lifecycle(ctx)
	switch {
	case KindOf(err) == KindUnsupported && !expires: // and no rule is needed
		return statesOf(d.bucket, chosen, ""), nil
	case err != nil:
		return nil, err
	}
	var states []NamespaceState
	for _, n := range chosen {
		s := l.state(n)
		switch s.Rule {
		case RuleMissing:
			s.Changed = "added"
		case RuleDifferent:
			s.Changed = "updated"
		case RuleUnconfigured:
			s.Changed, s.Rule = "removed", ""
		}
		if s.Changed != "" {
			if err := l.put(n); err != nil {
				return nil, err
			}
		}
		if n.Expire > 0 {
			s.Rule = RuleInstalled
		}
		states = append(states, s)
	}
	return states, l.save(ctx, states, dry)
}

// statesOf are those of namespaces in a store without lifecycle rules.
func statesOf(bucket string, all []Namespace, expiring string) (states []NamespaceState) {
	for _, n := range all {
		s := NamespaceState{Bucket: bucket, Namespace: n}
		if n.Expire > 0 {
			s.Rule = expiring
		}
		states = append(states, s)
	}
	return states
}

// removeNamespaces takes rules away again; also those that the configuration does not know any more.
func removeNamespaces(ctx context.Context, d *document, r NamespaceRequest) error {
	l, err := d.lifecycle(ctx)
	if err != nil {
		return err
	}
	known := d.configured(d.bucket)
	for _, s := range l.unconfigured() {
		known = append(known, s.Namespace)
	}
	chosen, err := choose(known, r.Names, "neither the configuration nor the lifecycle document of the bucket "+d.bucket+" has a namespace %q")
	if err != nil {
		return err
	}
	var states []NamespaceState
	for _, n := range chosen {
		s := l.state(n)
		if _, there := l.found[n.Name]; there {
			s.Changed = "removed"
			l.drop(n.Name)
		}
		if s.Rule = ""; n.Expire > 0 && slices.ContainsFunc(d.configured(d.bucket), func(c Namespace) bool { return c.Name == n.Name }) {
			s.Rule = RuleMissing
		}
		states = append(states, s)
	}
	if err := l.save(ctx, states, r.DryRun); err != nil {
		return err
	}
	return l.tell(states)
}
