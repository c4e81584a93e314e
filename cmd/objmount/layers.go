package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// The layers of a flag's value, the first that has one decides: the flag, -o, the variable OBJMOUNT_NAME, the configuration file (a
// remote's settings for the flags of the store, [mount] for the others), the default. docs/config.md describes them.

// origins say, by the flag's name, where a value was given if not as a flag: "-o NAME", "OBJMOUNT_NAME", "FILE:LINE:COLUMN: NAME".
type origins map[string]string

// told names a flag as the user has written it.
func (o origins) told(name string) string {
	if from := o[name]; from != "" {
		return from
	}
	return "--" + name
}

// public reports whether a value stands where every user of the machine can see it: on a command line.
func (o origins) public(name string) bool { return strings.HasPrefix(o.told(name), "-") }

// variablePrefix begins the names of our variables; the rest is a flag's name.
const variablePrefix = "OBJMOUNT_"

func variableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ownVariables are ours and no flags; a "*" at the end stands for the rest. The last are of the repository's own programs.
var ownVariables = []string{"OBJMOUNT_RUNTIME_DIR", readyVariable, "OBJMOUNT_TOOLS", "OBJMOUNT_BINARY", "OBJMOUNT_DOCS", "OBJMOUNT_SOAK", "OBJMOUNT_DEMO_*", "OBJMOUNT_TEST_*"}

// unset tells which flags have no variable: foreground has, as it is needed in containers.
var unset = []string{"options", "help"}

// applyEnvironment sets the flags that were given neither as such nor with -o. An empty variable counts as one that is not set, but that
// of --config, which says that there is no file.
func (o *options) applyEnvironment(flags *pflag.FlagSet) error {
	var wrong error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variableOf(f.Name)
		value, there := os.LookupEnv(name)
		if wrong != nil || f.Changed || !there || value == "" && f.Name != "config" || slices.Contains(unset, f.Name) || outdone(flags, f.Name) {
			return
		}
		wrong = o.setFrom(f, name, value)
	})
	return wrong
}

// setFrom sets a flag to what was given for it at another place.
func (o *storeOptions) setFrom(f *pflag.Flag, from, value string) error {
	if err := f.Value.Set(value); err != nil {
		if f.Value.Type() == "bool" {
			return usage("%s=%s: want true or false", from, value)
		}
		return usage("%s=%s: %v", from, value, err)
	}
	f.Changed = true
	o.note(f.Name, from)
	return nil
}

// note remembers where a flag's value was given.
func (o *storeOptions) note(flag, from string) {
	if o.from == nil {
		o.from = origins{}
	}
	o.from[flag] = from
}

// outdone tells whether a flag that was given already excludes another one: then a lower layer has nothing to say.
func outdone(flags *pflag.FlagSet, name string) bool {
	given := func(name string) bool {
		f := flags.Lookup(name)
		return f != nil && f.Changed && f.Value.String() != "" && f.Value.String() != "false"
	}
	switch name {
	case "no-sign-request":
		return given("profile") || given("credentials-file")
	case "profile", "credentials-file":
		return given("no-sign-request")
	}
	return false
}

// strayVariables are those of the environment that look like ours and are not: perhaps misspelt.
func strayVariables(environment []string, flags *pflag.FlagSet) []string {
	known := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { known[variableOf(f.Name)] = !slices.Contains(unset, f.Name) })
	var stray []string
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		own := slices.ContainsFunc(ownVariables, func(pattern string) bool {
			begin, open := strings.CutSuffix(pattern, "*")
			return name == pattern || open && strings.HasPrefix(name, begin)
		})
		if value != "" && strings.HasPrefix(name, variablePrefix) && !known[name] && !own {
			stray = append(stray, name)
		}
	}
	slices.Sort(stray)
	return stray
}

// strayText warns of them; "" if there are none.
func strayText(stray []string) string {
	if len(stray) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: no flag of objmount mount has such a variable; it has no effect", strings.Join(stray, ", "))
}

// givenFlags returns a copy of the flags that were set by now. Their values only tell whether they say anything.
func givenFlags(flags *pflag.FlagSet) *pflag.FlagSet {
	out := pflag.NewFlagSet("given", pflag.ContinueOnError)
	for _, g := range newOptions().groups() {
		out.AddFlagSet(g.flags)
	}
	out.VisitAll(func(f *pflag.Flag) {
		if set := flags.Lookup(f.Name); set != nil && set.Changed && f.Name != "options" {
			_ = f.Value.Set(set.Value.String()) // a time may have no such text
			f.Changed = true
		}
	})
	return out
}

// settingFrom is where a setting of the file stands.
func settingFrom(file *configfile.File, s configfile.Setting) string {
	return fmt.Sprintf("%s:%d:%d: %s", file.Path, s.Line, s.Column, s.Name)
}

// applyMountSettings sets the flags that only the file's [mount] has something to say about.
func (o *options) applyMountSettings(flags *pflag.FlagSet) error {
	if o.file == nil {
		return nil
	}
	for _, s := range o.file.Mount {
		f := flags.Lookup(s.Name)
		if f == nil || f.Changed {
			continue
		}
		if err := o.setFrom(f, settingFrom(o.file, s), s.Value); err != nil {
			return err
		}
	}
	return nil
}

// storeFor returns what is known of a store: what was given (flags that are set by now), else what the file says of a remote, else the
// defaults. r may be nil.
func (o *options) storeFor(flags *pflag.FlagSet, r *configfile.Remote) (storeOptions, error) {
	fresh := newOptions()
	set := fresh.storeFlagSet()
	fresh.from = maps.Clone(o.from)
	set.VisitAll(func(f *pflag.Flag) {
		if g := flags.Lookup(f.Name); g != nil && g.Changed {
			_ = f.Value.Set(g.Value.String()) // it was taken before
			f.Changed = true
		}
	})
	if r == nil {
		return fresh.storeOptions, nil
	}
	out := map[string]bool{}
	for _, s := range r.Settings {
		out[s.Name] = outdone(set, s.Name)
	}
	for _, s := range r.Settings {
		f := set.Lookup(s.Name)
		if f == nil || f.Changed || out[s.Name] {
			continue
		}
		if err := fresh.setFrom(f, settingFrom(o.file, s), s.Value); err != nil {
			return storeOptions{}, err
		}
	}
	return fresh.storeOptions, nil
}

// storeFlagSet registers the flags of a store alone.
func (o *options) storeFlagSet() *pflag.FlagSet {
	f := pflag.NewFlagSet("store", pflag.ContinueOnError)
	f.SortFlags = false
	o.storeFlags(f)
	return f
}
