package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

// ctlSession is one run of a verb of ctl.
type ctlSession struct {
	options *options
	flags   *pflag.FlagSet
	store   *pflag.FlagSet // those of flags that say where a store is
	settled bool           // what else says something about it was read
	json    bool
	out     io.Writer
	err     io.Writer
	infos   []ctl.Info
	bare    map[string]*bareStore  // by the name of the remote
	clients map[string]*ctl.Client // by socket
	bar     *counter
	keys    *keyList // nil: the verb is about one place
}

func (s *ctlSession) close() {
	for _, c := range s.clients {
		c.Close()
	}
	for _, b := range s.bare {
		_ = b.Close() // only idle connections
	}
}

// settle reads what else than flags says where a store is: the environment and the configuration file.
func (s *ctlSession) settle() error {
	if s.settled {
		return nil
	}
	if err := s.options.applyEnvironment(s.store); err != nil {
		return err
	}
	if err := s.options.readFile(s.store); err != nil {
		return err
	}
	s.settled = true
	if text := strayText(strayVariables(os.Environ(), givenFlags(s.store))); text != "" {
		fmt.Fprintf(s.err, "objmount: warning: %s\n", text)
	}
	return absoluteEnvironment()
}

// runner returns who does the work for a target.
func (s *ctlSession) runner(ctx context.Context, t ctlTarget) (runner, error) {
	if t.bare {
		name := ""
		if t.remote != nil {
			name = t.remote.Name
		}
		b := s.bare[name]
		if b == nil {
			var err error
			if b, err = openBare(ctx, s.options, s.store, t.remote); err != nil {
				return nil, err
			}
			if s.bare == nil {
				s.bare = map[string]*bareStore{}
			}
			s.bare[name] = b
		}
		return b.verbs, nil
	}
	if s.clients == nil {
		s.clients = map[string]*ctl.Client{}
	}
	c := s.clients[t.info.Socket]
	if c == nil {
		c = ctl.NewClient(t.info)
		s.clients[t.info.Socket] = c
	}
	return c, nil
}

// target is the part of a request that names the path.
func (t ctlTarget) target(dry bool) ctl.Target {
	return ctl.Target{Path: ctl.Text(t.rest), Directory: t.dir, DryRun: dry}
}

// run does a verb. each gets the lines that are its own: items, rows and the result. Notes and progress
// are shown here, and with --json so are items and result.
func (s *ctlSession) run(ctx context.Context, t ctlTarget, verb string, request any, each func(ctl.Line) error) error {
	if s.keys != nil {
		return s.runKeys(ctx, t, verb, request, each)
	}
	return s.runAs(ctx, t, func(as runner, each func(ctl.Line) error) error { return as.Run(ctx, verb, request, each) }, each)
}

// runAs is run for any way to do a verb.
func (s *ctlSession) runAs(ctx context.Context, t ctlTarget, do func(as runner, each func(ctl.Line) error) error, each func(ctl.Line) error) error {
	r, err := s.runner(ctx, t)
	if err != nil {
		return err
	}
	if s.bar == nil {
		s.bar = newCounter(s.dry())
	}
	return do(r, func(l ctl.Line) error {
		switch {
		case l.Note != "":
			s.bar.note(fmt.Sprintf("objmount: %s: %s", t.path, l.Note))
			return nil
		case l.Progress != nil && s.json && l.Progress.Doing != "":
			return s.line(map[string]*ctl.Step{"progress": l.Progress})
		case l.Progress != nil:
			s.bar.update(*l.Progress)
			return nil
		case s.json && l.Item != nil:
			return s.line(l.Item)
		case s.json && l.Result != nil:
			return s.line(map[string]json.RawMessage{"result": l.Result})
		case l.Item == nil && l.Result == nil && l.Rows == "":
			return nil
		}
		s.bar.finish()
		return each(l)
	})
}

// dry: nothing is to be changed.
func (s *ctlSession) dry() bool {
	f := s.flags.Lookup("dry-run")
	return f != nil && f.Value.String() == "true"
}

// line writes one line of JSON.
func (s *ctlSession) line(v any) error {
	s.bar.finish()
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", text)
	return err
}

// decoded calls do with the item of a line, and none with another line.
func decoded[T any](l ctl.Line, do func(T) error) error {
	if l.Item == nil {
		return nil
	}
	var v T
	if err := json.Unmarshal(l.Item, &v); err != nil {
		return fmt.Errorf("the mount's process is of another version of objmount: %w", err)
	}
	return do(v)
}

// summaryOf returns the result of a line, false when it has none.
func summaryOf(l ctl.Line) (ctl.Summary, bool, error) {
	var sum ctl.Summary
	if l.Result == nil {
		return sum, false, nil
	}
	err := json.Unmarshal(l.Result, &sum)
	return sum, true, err
}

// printable shows a key on one line whatever bytes it has.
func printable(text ctl.Text) string {
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f {
			return fmt.Sprintf("%q", string(text))
		}
	}
	return string(text)
}

// timeText shows a time with as many digits as the names of versions as files have, so that they can be compared.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
