package past

import (
	"context"
	"strings"
	"sync"

	"github.com/objmount/objmount/backend"
)

const (
	lookAtOnce = 32
	// fewDoubts is how many prefixes are looked into without trying a sweep first.
	fewDoubts = 4
	// worthSweep is how many prefixes a sweep must decide for another one to follow.
	worthSweep = 8
)

// existed tells of common prefixes of one directory, in order, whether a key below existed.
func (s *Store) existed(ctx context.Context, bucket, parent string, prefixes []string) ([]bool, error) {
	out := make([]bool, len(prefixes))
	for done := 0; done < len(prefixes); {
		if len(prefixes)-done > fewDoubts {
			n, err := s.sweep(ctx, bucket, parent, prefixes[done:], out[done:])
			if err != nil {
				return nil, err
			}
			if done += n; n >= worthSweep {
				continue
			}
		}
		n := min(2*lookAtOnce, len(prefixes)-done)
		if err := s.lookInto(ctx, bucket, prefixes[done:done+n], out[done:done+n]); err != nil {
			return nil, err
		}
		done += n
	}
	return out, nil
}

// sweep decides by one page without delimiter, and returns for how many of the prefixes it did.
func (s *Store) sweep(ctx context.Context, bucket, parent string, prefixes []string, out []bool) (decided int, err error) {
	first := prefixes[0]
	page, err := s.page(ctx, backend.ListVersionsInput{
		Bucket: bucket, Prefix: parent, MaxKeys: largestPage,
		KeyMarker: first[:len(first)-1], // a key that may be there: what follows it is found at once by every store
	})
	if err != nil {
		return 0, err
	}
	j, at := judge{at: s.at}, 0
	for i := range page.Versions {
		v := &page.Versions[i]
		for at < len(prefixes) && prefixes[at] < v.Key && !strings.HasPrefix(v.Key, prefixes[at]) {
			at++ // all below it was seen
		}
		if at == len(prefixes) {
			return at, nil
		}
		if !out[at] && strings.HasPrefix(v.Key, prefixes[at]) {
			out[at] = j.current(v)
		}
	}
	switch {
	case !page.More:
		at = len(prefixes)
	case out[at]:
		at++
	}
	return at, nil
}

// lookInto asks for each prefix by itself.
func (s *Store) lookInto(ctx context.Context, bucket string, prefixes []string, out []bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	var once sync.Once
	var failed error
	for i := range prefixes {
		work.Go(func() {
			err := s.inSlot(ctx, func() (err error) {
				out[i], err = s.holds(ctx, bucket, prefixes[i])
				return err
			})
			if err != nil {
				once.Do(func() { failed = err; cancel() })
			}
		})
	}
	work.Wait()
	return failed
}

// inSlot bounds the requests of all calls together.
func (s *Store) inSlot(ctx context.Context, do func() error) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return &backend.Error{Kind: backend.KindCanceled, Op: "ListObjectVersions", Err: context.Cause(ctx)}
	}
	defer func() { <-s.slots }()
	return do()
}

// holds reports whether a key with this prefix existed.
func (s *Store) holds(ctx context.Context, bucket, prefix string) (bool, error) {
	j, found := judge{at: s.at}, false
	err := s.each(ctx, bucket, prefix, func(v *backend.Version) bool {
		found = j.current(v)
		return !found
	})
	return found, err
}
