package main

import (
	"errors"
	"slices"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// fileFlags are the flags that the configuration file may set: those of a store in [remote.NAME], the others in [mount].
func fileFlags() configfile.Flags {
	out := configfile.Flags{Vendors: vendorNames, Together: together}
	for _, g := range newOptions().groups() {
		g.flags.VisitAll(func(f *pflag.Flag) {
			path := slices.Contains([]string{"ca-bundle", "credentials-file", "state-dir", "cache-dir", "log-file"}, f.Name)
			one := configfile.Flag{Name: f.Name, Check: checkOf(f.Name), Path: path, Text: f.Value.Type() == "string" && !path, Switch: f.Value.Type() == "bool"}
			switch {
			case slices.Contains([]string{"options", "foreground", "config", "remote", "namespace"}, f.Name): // of one command
			case g.title == storeTitle:
				out.Store = append(out.Store, one)
			default:
				out.Mount = append(out.Mount, one)
			}
		})
	}
	return out
}

// vendorNames are what a remote's vendor can be.
var vendorNames = s3.Vendors()

// checkOf returns what says whether a value can be a flag's.
func checkOf(name string) func(value string) error {
	return func(value string) error {
		o := newOptions()
		for _, g := range o.groups() {
			f := g.flags.Lookup(name)
			if f == nil {
				continue
			}
			if err := f.Value.Set(value); err != nil && f.Value.Type() == "bool" {
				return errors.New("want true or false")
			} else if err != nil {
				return err
			}
		}
		if why := o.impossible(name); why != "" {
			return errors.New(why)
		}
		return nil
	}
}

// together checks the settings of one remote that contradict each other. Each is right alone.
func together(settings []configfile.Setting) error {
	o := newOptions()
	set := o.storeFlagSet()
	o.from = origins{}
	for _, s := range settings {
		if err := o.setFrom(set.Lookup(s.Name), s.Name, s.Value); err != nil {
			return err
		}
	}
	return o.checkCredentials()
}
