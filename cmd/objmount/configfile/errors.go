package configfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a file, in one line.
type Error struct {
	Path         string // of the file, as it was given
	Line, Column int    // from 1, the column in characters; 0: it is about the whole file
	Text         string // what is wrong; what to write instead
	Err          error  // why the file cannot be read; nil: it can
}

// Error is FILE:LINE:COLUMN: TEXT.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Text)
}

// Unwrap lets errors.Is find fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.Err }

// Errors is everything that is wrong with a file, at least one thing, by place.
type Errors []*Error

// Error is the first error and how many more there are.
func (e Errors) Error() string {
	switch len(e) {
	case 0:
		return "no error"
	case 1:
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more; objmount config check %s shows them)", e[0], len(e)-1, e[0].Path)
}

// Unwrap lets errors.Is look at each of them.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Text, b.Text))
	})
}
