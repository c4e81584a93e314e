package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// flagError says in one line what is wrong with a flag: which, what was given, what is wanted.
func flagError(err error) string {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		wanted := errors.Unwrap(e).Error()
		if e.GetFlag().Value.Type() == "bool" {
			wanted = "want true or false"
		}
		return fmt.Sprintf("--%s=%s: %s", e.GetFlag().Name, e.GetValue(), wanted)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Sprintf("--%s needs a value", e.GetFlag().Name)
	}
	return err.Error()
}

// isFailure reports whether err is one of our own, with an exit code.
func isFailure(err error) bool {
	_, ok := errors.AsType[*failure](err)
	return ok
}
