package mem

import (
	"context"
	"fmt"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestDeletedKeysLeaveTheIndex: deletes are cheap because keys go from the index later.
func TestDeletedKeysLeaveTheIndex(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	name := func(i int) string { return fmt.Sprintf("%03d", i) }
	for i := range 500 {
		put(t, s, name(i), nil)
	}
	for i := range 500 {
		if i%5 == 0 {
			continue
		}
		if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: name(i)}); err != nil {
			t.Fatal(err)
		}
	}
	b := s.buckets[testBucket]
	if len(b.order) > 300 || len(b.order)-b.dead != 100 {
		t.Errorf("%d keys in the index, %d of them dead, of 100", len(b.order), b.dead)
	}
	for i := range 500 {
		put(t, s, name(i), nil) // revives dead ones
	}
	page, err := s.List(ctx, backend.ListInput{Bucket: testBucket})
	if err != nil || len(page.Objects) != 500 || len(b.order) != 500 || b.dead != 0 {
		t.Fatalf("%d listed, %d in the index, %d dead, %v", len(page.Objects), len(b.order), b.dead, err)
	}
	for i, obj := range page.Objects {
		if obj.Key != name(i) {
			t.Fatalf("%q at %d", obj.Key, i)
		}
	}
}
