package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
)

// wholeStores returns the stores that are meant as a whole: without a path all remotes of the configuration file, or the store of the flags if
// they or the environment name one; s3:// is the default one, REMOTE: that remote, all: all of them. None: the path lies in a mount.
func (s *ctlSession) wholeStores(args []string) ([]ctlTarget, error) {
	name, rest, named := "", "", false
	if len(args) > 0 {
		if name, rest, named = cutRemote(args[0]); args[0] != scheme && (!named || rest != "") {
			return nil, nil
		}
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	file := s.options.file
	every := len(args) == 0 && s.options.remoteName == "" && s.options.storeGiven(s.store) == "" && file != nil && len(file.Remotes) > 0
	if every || name == allRemotes {
		if file == nil || len(file.Remotes) == 0 {
			return nil, usage("%s: there is no configuration file with remotes; objmount ctl bucket list s3:// lists one store", args[0])
		}
		var all []ctlTarget
		for _, r := range file.Remotes {
			all = append(all, ctlTarget{path: r.Name + ":", bare: true, remote: r})
		}
		return all, nil
	}
	r, err := s.options.remoteOf(s.store, source{remote: name})
	path := scheme
	if named {
		path = args[0]
	}
	return []ctlTarget{{path: path, bare: true, remote: r}}, err
}

// onStores works on one store after the other, as onAll does on paths.
func (s *ctlSession) onStores(ctx context.Context, stores []ctlTarget, err error, do ctlDo) error {
	if err != nil {
		return err
	}
	var last error
	for _, t := range stores {
		err := s.onTarget(ctx, t, nil, do)
		if err == nil {
			continue
		}
		if last != nil {
			fmt.Fprintf(s.err, "objmount: %v\n", last)
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return last
}

// storeGiven returns where one of the flags of a store was given, by a flag, an option or a variable: the settings of no remote. "": none
// was.
func (o *options) storeGiven(flags *pflag.FlagSet) string {
	given := ""
	newOptions().storeFlagSet().VisitAll(func(f *pflag.Flag) {
		if flags.Changed(f.Name) && given == "" {
			given = o.from.told(f.Name)
		}
	})
	return given
}
