package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// ruleBegins is what the ids of lifecycle rules begin with that belong to namespaces.
const ruleBegins = "objmount-namespace-"

// expiry is a lifecycle rule as far as namespaces have one.
type expiry struct {
	ID     string `json:"ID"`
	Status string `json:"Status"`
	Filter struct {
		Prefix string `json:"Prefix"`
	} `json:"Filter"`
	Expiration struct {
		Days int `json:"Days"`
	} `json:"Expiration"`
	Noncurrent *noncurrentExpiry `json:"NoncurrentVersionExpiration,omitempty"`
}

type noncurrentExpiry struct {
	Days int `json:"NoncurrentDays"`
}

// rule is the lifecycle rule of a namespace that expires. In a bucket with versions the expired object is only covered by a delete
// marker: as many days later it goes for good, and the marker with it.
func (n Namespace) rule(versions bool) expiry {
	e := expiry{ID: ruleBegins + n.Name, Status: "Enabled"}
	e.Filter.Prefix, e.Expiration.Days = n.Prefix, n.Expire
	if versions {
		e.Noncurrent = &noncurrentExpiry{n.Expire}
	}
	return e
}

func (e expiry) is(other expiry) bool {
	same := e.ID == other.ID && e.Status == other.Status && e.Filter == other.Filter && e.Expiration == other.Expiration
	return same && (e.Noncurrent == nil) == (other.Noncurrent == nil) && (e.Noncurrent == nil || *e.Noncurrent == *other.Noncurrent)
}

// lifecycle is the document of a bucket. Whatever is not a namespace's stays as it is.
type lifecycle struct {
	*document
	versions bool
	all      map[string]json.RawMessage
	rules    []json.RawMessage
	found    map[string]expiry // by the name of the namespace
}

// lifecycle reads the document of a bucket; none is an empty one.
func (d *document) lifecycle(ctx context.Context) (*lifecycle, error) {
	l := &lifecycle{document: d, all: map[string]json.RawMessage{}, found: map[string]expiry{}}
	text, err := d.now(ctx)
	if err == nil && text != "" {
		if err = json.Unmarshal([]byte(text), &l.all); err == nil && l.all["Rules"] != nil {
			err = json.Unmarshal(l.all["Rules"], &l.rules)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, rule := range l.rules {
		if name, of := namespaceOf(rule); of {
			var e expiry
			if err := json.Unmarshal(rule, &e); err != nil { // another's document in our name: it differs
				e = expiry{}
			}
			l.found[name] = e
		}
	}
	status, err := d.Store.BucketVersioning(ctx, d.bucket)
	if err != nil && !untold(err) {
		return nil, err
	}
	l.versions = status != ""
	return l, nil
}

// namespaceOf tells whether a lifecycle rule belongs to a namespace, and to which.
func namespaceOf(rule json.RawMessage) (name string, of bool) {
	var r struct{ ID string }
	if json.Unmarshal(rule, &r) != nil {
		return "", false
	}
	return strings.CutPrefix(r.ID, ruleBegins)
}

// state compares what the configuration wants with what is there.
func (l *lifecycle) state(n Namespace) NamespaceState {
	s := NamespaceState{Bucket: l.bucket, Namespace: n}
	found, there := l.found[n.Name]
	switch {
	case n.Expire == 0 && there:
		s.Rule = RuleUnconfigured
	case n.Expire == 0:
	case !there:
		s.Rule = RuleMissing
	case found.is(n.rule(l.versions)):
		s.Rule = RuleInstalled
	default:
		s.Rule = RuleDifferent
	}
	return s
}

// drop takes the rule of a namespace out, wherever it is.
func (l *lifecycle) drop(name string) {
	l.rules = slices.DeleteFunc(l.rules, func(rule json.RawMessage) bool {
		of, is := namespaceOf(rule)
		return is && of == name
	})
}

// put gives a namespace its rule, at the end of the others, and none if it does not expire.
func (l *lifecycle) put(n Namespace) error {
	if l.drop(n.Name); n.Expire == 0 {
		return nil
	}
	text, err := json.Marshal(n.rule(l.versions))
	if err != nil {
		return err
	}
	l.rules = append(l.rules, text)
	return nil
}

// save stores the document if anything is another. A document without rules is none.
func (l *lifecycle) save(ctx context.Context, states []NamespaceState, dry bool) error {
	changed := slices.ContainsFunc(states, func(s NamespaceState) bool { return s.Changed != "" })
	if !changed || dry {
		return nil
	}
	var err error
	if len(l.rules) == 0 {
		err = l.Store.DeleteBucketDoc(ctx, l.bucket, l.kind)
	} else {
		var text string
		if text, err = l.text(); err == nil {
			err = l.Store.PutBucketDoc(ctx, l.bucket, l.kind, []byte(text))
		}
	}
	if err != nil {
		return l.lacking(err)
	}
	l.Tree.Changed(l.bucket, "")
	return nil
}

func (l *lifecycle) text() (string, error) {
	rules, err := plainJSON(l.rules)
	if err != nil {
		return "", err
	}
	l.all["Rules"] = rules
	all, err := plainJSON(l.all)
	if err != nil {
		return "", err
	}
	return l.parse(string(all))
}

// plainJSON is JSON in which "<" and "&" are themselves.
func plainJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return text.Bytes(), err
}
