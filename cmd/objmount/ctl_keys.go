package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

// The keys of one request: what S3 takes at a time, and what fits into a request of the control socket.
const (
	keysAtOnce     = 1000
	keyBytesAtOnce = 40 << 10
	longestKeyLine = 64 << 10
)

// keyList are keys on standard input, of objects below a directory that a verb is about.
type keyList struct {
	in   io.Reader
	null bool
}

// keysHelp is what the help of a verb says about them.
const keysHelp = `
"DIRECTORY -" takes the keys of objects below it from standard input, one a line, whole as the list prints them; what fails
with one of them is told, stops nothing else, and is exit code 12.`

// manyKeys lets a verb take keys from standard input.
func (v ctlCommand) manyKeys() ctlCommand {
	v.long += keysHelp
	flags, args, plain := v.flags, v.args, v.args == nil
	if args == nil {
		args = somePaths
	}
	v.keys = true
	v.flags = func(f *pflag.FlagSet) {
		if flags != nil {
			flags(f)
		}
		f.Bool("null", false, "keys on standard input end with a NUL byte instead of a line")
	}
	v.args = func(cmd *cobra.Command, all []string) error {
		for i, arg := range all {
			if arg == "-" && i != 1 {
				return usage(`"-" comes after one directory: %s DIRECTORY -`, cmd.CommandPath())
			}
		}
		if len(all) > 1 && all[1] == "-" {
			all = append([]string{all[0]}, all[2:]...)
			if plain && len(all) > 1 {
				return usage(`"-" comes after one directory: %s DIRECTORY -`, cmd.CommandPath())
			}
		}
		return args(cmd, all)
	}
	return v
}

// fed gives a run of a verb the keys on standard input, if args ask for them, and returns what they say else.
func (s *ctlSession) fed(args []string) []string {
	if len(args) < 2 || args[1] != "-" {
		return args
	}
	null, _ := s.flags.GetBool("null") // it is there
	s.keys = &keyList{os.Stdin, null}
	return append([]string{args[0]}, args[2:]...)
}

// each reads keys, and calls do with as many as a request takes.
func (k keyList) each(do func(keys []ctl.Text) error) error {
	lines := bufio.NewScanner(k.in)
	lines.Buffer(nil, longestKeyLine)
	if k.null {
		lines.Split(scanNull)
	}
	var keys []ctl.Text
	size := 0
	for lines.Scan() {
		if lines.Text() == "" {
			continue
		}
		key := ctl.Text(lines.Text())
		encoded, err := json.Marshal(key)
		if err != nil {
			return err
		}
		if len(keys) == keysAtOnce || size+len(encoded)+1 > keyBytesAtOnce {
			if err := do(keys); err != nil {
				return err
			}
			keys, size = nil, 0
		}
		keys, size = append(keys, key), size+len(encoded)+1
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	if len(keys) == 0 {
		return nil
	}
	return do(keys)
}

// partly keeps going after requests of which a part failed; the last such failure is returned.
func (k keyList) partly(do func(keys []ctl.Text) error) error {
	var last error
	err := k.each(func(keys []ctl.Text) error {
		err := do(keys)
		if failed, ok := errors.AsType[*ctl.Error](err); ok && failed.Kind == ctl.KindPartial {
			last, err = err, nil
		}
		return err
	})
	if err == nil {
		err = last
	}
	return err
}

// runKeys does a verb with the objects that standard input names.
func (s *ctlSession) runKeys(ctx context.Context, t ctlTarget, verb string, request any, each func(ctl.Line) error) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	return s.keys.partly(func(keys []ctl.Text) error {
		if fields["objects"], err = json.Marshal(keys); err != nil {
			return err
		}
		return s.runAs(ctx, t, func(as runner, each func(ctl.Line) error) error { return as.Run(ctx, verb, fields, each) }, func(l ctl.Line) error {
			var one ctl.Failed
			switch {
			case l.Result != nil: // of one request of many
				return nil
			case l.Item != nil && bytes.Contains(l.Item, []byte(`"error":{`)) && json.Unmarshal(l.Item, &one) == nil && one.Error != nil:
				s.say(fmt.Sprintf("objmount: %s: %s", printable(one.Key), one.Error.Message))
				return nil
			}
			return each(l)
		})
	})
}

// scanNull splits at NUL bytes.
func scanNull(data []byte, atEnd bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEnd && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
