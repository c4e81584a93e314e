package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/objmount/objmount/backend"
)

// moody fails its first calls.
type moody struct {
	backend.Store
	fail  []error
	calls int
	body  string        // of the last Put
	takes time.Duration // each call
}

func (m *moody) next() error {
	m.calls++
	time.Sleep(m.takes)
	if len(m.fail) == 0 {
		return nil
	}
	err := m.fail[0]
	if len(m.fail) > 1 {
		m.fail = m.fail[1:]
	}
	return err
}

func (m *moody) Head(context.Context, backend.ObjectID, backend.GetOptions) (backend.Object, error) {
	return backend.Object{Size: 7}, m.next()
}

func (m *moody) Put(_ context.Context, in backend.PutInput) (backend.Object, error) {
	buf := make([]byte, 100)
	n, _ := in.Body.Read(buf)
	m.body = string(buf[:n])
	return backend.Object{}, m.next()
}

func kind(k backend.Kind) error { return &backend.Error{Kind: k} }

func TestPatientWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &moody{fail: []error{kind(backend.KindUnreachable), kind(backend.KindTransient), kind(backend.KindUnreachable), nil}}
		p := &patient{Store: m, limit: lasting(time.Minute), log: quiet()}
		obj, err := p.Head(t.Context(), backend.ObjectID{}, backend.GetOptions{})
		if err != nil || obj.Size != 7 || m.calls != 4 {
			t.Errorf("%v %v after %d calls", obj, err, m.calls)
		}
		m.calls, m.fail = 0, []error{kind(backend.KindTransient), nil}
		if _, err := p.Put(t.Context(), backend.PutInput{Body: strings.NewReader("all of it")}); err != nil || m.body != "all of it" {
			t.Errorf("the repeated body was %q, %v", m.body, err)
		}
	})
}

func TestPatientGivesUpInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &moody{fail: []error{kind(backend.KindUnreachable)}}
		p := &patient{Store: m, limit: lasting(time.Minute), log: quiet()}
		began := time.Now()
		_, err := p.Head(t.Context(), backend.ObjectID{}, backend.GetOptions{})
		if took := time.Since(began); !backend.IsKind(err, backend.KindUnreachable) || took != time.Minute || m.calls < 20 || m.calls > 100 {
			t.Errorf("%v after %v and %d calls", err, took, m.calls)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if _, err := p.Head(ctx, backend.ObjectID{}, backend.GetOptions{}); !backend.IsKind(err, backend.KindCanceled) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestPatientRepeatsOnlyWhatChangedNothing: and every other kind comes back at once.
func TestPatientRepeatsOnlyWhatChangedNothing(t *testing.T) {
	t.Parallel()
	for _, k := range backend.Kinds() {
		if k == backend.KindTransient || k == backend.KindUnreachable {
			continue
		}
		m := &moody{fail: []error{kind(k)}}
		p := &patient{Store: m, limit: lasting(time.Hour), log: quiet()}
		if _, err := p.Head(t.Context(), backend.ObjectID{}, backend.GetOptions{}); !backend.IsKind(err, k) || m.calls != 1 {
			t.Errorf("%v: %v after %d calls", k, err, m.calls)
		}
	}
	m := &moody{fail: []error{errors.New("no kind")}}
	p := &patient{Store: m, limit: lasting(time.Hour), log: quiet()}
	if _, err := p.Head(t.Context(), backend.ObjectID{}, backend.GetOptions{}); err == nil || m.calls != 1 {
		t.Errorf("%v after %d calls", err, m.calls)
	}
}

// TestPatientCountsTheAttempts: what an attempt that fails has taken counts, the first one too.
func TestPatientCountsTheAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &moody{fail: []error{kind(backend.KindTransient)}, takes: 50 * time.Second}
		p := &patient{Store: m, limit: lasting(time.Minute), log: quiet()}
		began := time.Now()
		if _, err := p.Head(t.Context(), backend.ObjectID{}, backend.GetOptions{}); err == nil || m.calls != 2 || time.Since(began) > time.Minute+m.takes {
			t.Errorf("%v after %v and %d calls", err, time.Since(began), m.calls)
		}
	})
}

// TestPatientRepeatsWhatMeansTheSame: a write without a condition may be made twice.
func TestPatientRepeatsWhatMeansTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			cond  backend.Condition
			calls int
		}{{backend.Condition{}, 3}, {backend.Condition{IfMatch: "etag"}, 1}, {backend.Condition{IfNoneMatch: true}, 1}} {
			m := &moody{fail: []error{kind(backend.KindUnknown), kind(backend.KindUnknown), nil}}
			p := &patient{Store: m, limit: lasting(time.Minute), log: quiet()}
			_, err := p.Put(t.Context(), backend.PutInput{Body: strings.NewReader("all of it"), Condition: c.cond})
			if m.calls != c.calls || (err == nil) != c.cond.IsZero() {
				t.Errorf("%+v: %v after %d calls", c.cond, err, m.calls)
			}
		}
	})
}

func (m *moody) PutTags(context.Context, backend.ObjectID, string, map[string]string) error {
	return m.next()
}

func (m *moody) Lock(context.Context, backend.ObjectID, string) (backend.ObjectLock, error) {
	return backend.ObjectLock{LegalHold: true}, m.next()
}

func (m *moody) SetRetention(context.Context, backend.ObjectID, string, backend.Retention, bool) error {
	return m.next()
}

func (m *moody) BucketUsage(context.Context, string) (bytes, objects int64, err error) {
	return 5, 6, m.next()
}

// TestPatientWaitsWithAttributes: what an extended attribute stands for waits through an outage like the rest.
func TestPatientWaitsWithAttributes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		p := &patient{Store: m, limit: lasting(time.Minute), log: quiet()}
		id := backend.ObjectID{Bucket: "b", Key: "k"}
		for name, call := range map[string]func() bool{
			"PutTags":      func() bool { return p.PutTags(t.Context(), id, "", nil) == nil },
			"SetRetention": func() bool { return p.SetRetention(t.Context(), id, "", backend.Retention{}, false) == nil },
			"Lock":         func() bool { l, err := p.Lock(t.Context(), id, ""); return err == nil && l.LegalHold },
			"BucketUsage": func() bool {
				bytes, objects, err := p.BucketUsage(t.Context(), "b")
				return err == nil && bytes == 5 && objects == 6
			},
		} {
			m.calls, m.fail = 0, []error{kind(backend.KindUnreachable), kind(backend.KindTransient), nil}
			if !call() || m.calls != 3 {
				t.Errorf("%s: failed, or %d calls instead of 3", name, m.calls)
			}
		}
	})
}

func lasting(d time.Duration) *atomic.Int64 {
	n := &atomic.Int64{}
	n.Store(int64(d))
	return n
}
