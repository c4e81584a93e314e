package past_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/past"
)

// current is a store that is read through the past of this moment.
type current struct{ *mem.Store }

// kept says that every bucket keeps versions, or did.
type kept struct{ *mem.Store }

func (kept) BucketVersioning(context.Context, string) (string, error) { return "Suspended", nil }

func (c current) past() *past.Store {
	return past.New(past.Config{Store: kept(c), At: time.Now().Add(time.Hour), Entries: 2})
}

func (c current) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	return c.past().List(ctx, in)
}

func (c current) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	return c.past().Head(ctx, id, opt)
}

// Get looks again when what was stored without versions is replaced between the look at the
// versions and the read.
func (c current) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	for {
		body, err := c.past().Get(ctx, id, opt)
		if opt.VersionID == "" && backend.IsKind(err, backend.KindNotExist) {
			if _, herr := c.Store.Head(ctx, id, backend.GetOptions{}); herr == nil {
				continue
			}
		}
		return body, err
	}
}

// TestConformance reads through this package whatever the suite writes to the store itself.
func TestConformance(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprint("versioned=", versioned), func(t *testing.T) {
			backendtest.Run(t, func(*testing.T) (backend.Store, string) {
				s := mem.New(bucket)
				s.Configure(func(s *mem.Settings) { s.Capabilities.Versioned = versioned })
				return current{s}, bucket
			})
		})
	}
}
