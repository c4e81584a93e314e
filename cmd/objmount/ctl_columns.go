package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/objmount/objmount/ctl"
)

// showColumns runs a verb and shows its items in columns, which row separates by tabs, below a heading ("": none). They are aligned
// within a thousand rows, so that a long answer begins at once.
func showColumns[T any](ctx context.Context, s *ctlSession, t ctlTarget, verb string, request any, heading string, row func(w io.Writer, item T) error) error {
	const page = 1000
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	rows := 0
	err := s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(item T) error {
			if rows == 0 && heading != "" {
				fmt.Fprintln(w, heading)
			}
			rows++
			if err := row(w, item); err != nil || rows%page != 0 {
				return err
			}
			return w.Flush()
		})
	})
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	return err
}
