package remotes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/objmount/objmount/backend"
)

// separator stands between the names of a remote and of a bucket. No bucket has it in its own name.
const separator = "/"

// Remote is a store under a name.
type Remote struct {
	Name  string // not empty, without "/"
	Store backend.Store
}

// Store is several stores as one. It is safe for concurrent use, as they are.
type Store struct {
	all    []*member // in the order in which they were given
	byName map[string]*member
}

var _ backend.Store = (*Store)(nil)

// member is one remote.
type member struct {
	backend.Store
	name string
}

// New joins stores; at least one, each under a name of its own.
func New(all ...Remote) (*Store, error) {
	s := &Store{byName: make(map[string]*member, len(all))}
	for _, r := range all {
		switch {
		case r.Name == "" || strings.Contains(r.Name, separator):
			return nil, fmt.Errorf("remotes: %q cannot be the name of a remote", r.Name)
		case s.byName[r.Name] != nil:
			return nil, fmt.Errorf("remotes: two remotes are named %q", r.Name)
		case r.Store == nil:
			return nil, fmt.Errorf("remotes: %q has no store", r.Name)
		}
		m := &member{r.Store, r.Name}
		s.all, s.byName[r.Name] = append(s.all, m), m
	}
	if len(s.all) == 0 {
		return nil, errors.New("remotes: none is given")
	}
	return s, nil
}

// Name is the name of a remote's bucket in a Store.
func Name(remote, bucket string) string { return remote + separator + bucket }

// Split is the reverse of Name. ok is false for what is no such name.
func Split(bucket string) (remote, own string, ok bool) {
	remote, own, ok = strings.Cut(bucket, separator)
	return remote, own, ok && remote != "" && own != "" && !strings.Contains(own, separator)
}

// Of returns the store of a bucket and the bucket's own name there.
func (s *Store) Of(bucket string) (store backend.Store, own string, ok bool) {
	name, own, ok := Split(bucket)
	m := s.byName[name]
	if !ok || m == nil {
		return nil, "", false
	}
	return m.Store, own, true
}

// find returns the remote of a bucket, and changes its name to the one that it has there.
func (s *Store) find(op string, bucket *string, key string) (*member, error) {
	name, own, ok := Split(*bucket)
	m := s.byName[name]
	if !ok || m == nil {
		return nil, &backend.Error{Kind: backend.KindNoBucket, Op: op, Bucket: *bucket, Key: key, Message: "no remote has a bucket of this name"}
	}
	*bucket = own
	return m, nil
}

// findSource is find for a copy: its source has to be in the same remote.
func (s *Store) findSource(op string, bucket *string, key string, source *backend.Source) (*member, error) {
	full := *bucket
	m, err := s.find(op, bucket, key)
	if err != nil {
		return nil, err
	}
	from, err := s.find(op, &source.Bucket, source.Key)
	if err == nil && from != m {
		err = &backend.Error{
			Kind: backend.KindElsewhere, Op: op, Bucket: full, Key: key,
			Message: fmt.Sprintf("the source is in the remote %q", from.name),
		}
	}
	return m, err
}

// failed gives an error of a remote the full name of the bucket. The error itself is not changed: others may have it.
func (m *member) failed(err error) error {
	e, ok := errors.AsType[*backend.Error](err)
	if !ok || e.Bucket == "" {
		return err
	}
	full := *e
	full.Bucket = Name(m.name, e.Bucket)
	if any(e) != any(err) { // it is in the words of somebody else
		full.Message, full.Err = err.Error(), err
	}
	return &full
}

func (m *member) object(o backend.Object, err error) (backend.Object, error) {
	if o.Bucket != "" {
		o.Bucket = Name(m.name, o.Bucket)
	}
	return o, m.failed(err)
}

func (m *member) results(list []backend.DeleteResult, err error) ([]backend.DeleteResult, error) {
	for i := range list {
		list[i].Err = m.failed(list[i].Err)
	}
	return list, m.failed(err)
}

// ListBuckets implements backend.Buckets: by remote, in the order in which they were given.
func (s *Store) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	answers := make([][]backend.Bucket, len(s.all))
	failures := make([]error, len(s.all))
	var asking sync.WaitGroup
	for i, m := range s.all {
		own, below := strings.CutPrefix(prefix, m.name+separator)
		if !below {
			if own = ""; !strings.HasPrefix(m.name+separator, prefix) {
				continue
			}
		}
		asking.Go(func() { answers[i], failures[i] = m.buckets(ctx, own) })
	}
	asking.Wait()
	var found []backend.Bucket
	for _, some := range answers {
		found = append(found, some...)
	}
	return found, joined(failures)
}

func (m *member) buckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	list, err := m.Store.ListBuckets(ctx, prefix)
	for i := range list {
		list[i].Name = Name(m.name, list[i].Name)
	}
	e, ok := errors.AsType[*backend.Error](err)
	if !ok {
		return list, err
	}
	full := *e
	full.Bucket = m.name
	if any(e) != any(err) { // it is in the words of somebody else
		full.Message, full.Err = err.Error(), err
	}
	if e.Kind == backend.KindCanceled && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		full.Kind, full.Message = backend.KindUnreachable, "no answer in time"
	}
	return list, &full
}

// joined makes one error of those of several remotes, of the kind of the first.
func joined(failures []error) error {
	var texts []string
	var errs []error
	for _, err := range failures {
		if err != nil {
			texts, errs = append(texts, err.Error()), append(errs, err)
		}
	}
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return &backend.Error{Kind: backend.KindOf(errs[0]), Op: "ListBuckets", Message: strings.Join(texts, "; "), Err: errors.Join(errs...)}
}
