package main

import (
	"context"
	"strings"

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
	return inTurn(ctx, s, stores, func(t ctlTarget) error { return s.onTarget(ctx, t, nil, do) })
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

// atVendor makes a path s3://BUCKET one of the remote that has this name, or that alone is of this vendor.
func (s *ctlSession) atVendor(t *ctlTarget, name string) error {
	if name == "" {
		return nil
	}
	if !strings.HasPrefix(t.path, scheme) {
		return usage("%s: --vendor goes with s3://BUCKET; this path says already where the bucket is to be", t.path)
	}
	r, err := s.options.remoteNamed(name, "--vendor")
	if err == nil {
		t.remote = r
		return nil
	}
	var of []string
	if s.options.file != nil {
		for _, one := range s.options.file.Remotes {
			if one.Vendor == name {
				r, of = one, append(of, one.Name)
			}
		}
	}
	switch len(of) {
	case 0:
		return err
	case 1:
		t.remote = r
		return nil
	default:
		return usage("--vendor=%s: %s are of that vendor; give the name of one of them", name, strings.Join(of, ", "))
	}
}
