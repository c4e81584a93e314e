package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// ignoredOptions are what mount(8), fstab and systemd put among the options without meaning a
// filesystem, or what a FUSE mount has anyway.
var ignoredOptions = []string{
	"defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "owner", "noowner", "group", "nogroup",
	"async", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"dev", "nodev", "suid", "nosuid", "exec", "silent", "loud", "mand", "nomand", "iversion", "noiversion",
	"default_permissions", "intr", "nointr", "big_writes",
}

// ignoredValues are such options with a value.
var ignoredValues = []string{"user", "comment", "uhelper", "helper", "fsname", "subtype", "max_read", "pri"}

// refusedOptions would be a promise that is not kept; each says what to do instead.
var refusedOptions = map[string]string{
	"remount":         "a mount cannot be changed; unmount it and mount again",
	"sync":            "writes are not synchronous; --commit=close (the default) stores a file before close returns",
	"dirsync":         "use --commit=close (the default): changes of directories are in the store when the call returns",
	"bind":            "mount the source itself at the other place",
	"setuid":          "start objmount as that user, for example with User= in a systemd unit",
	"drop_privileges": "start objmount as that user, for example with User= in a systemd unit",
	"passwd_file":     "use --credentials-file, --profile or the environment",
	"allow_root":      "use --allow-other; the modes decide who may",
}

// optionNames are other names of flags.
var optionNames = map[string]string{
	"ro": "read-only", "url": "endpoint-url", "endpoint": "endpoint-url", "debug": "debug-fuse",
}

// splitOptions cuts a list at its commas. A comma that is part of a value is written \, or the
// value is put between double quotes.
func splitOptions(list string) []string {
	var out []string
	var word strings.Builder
	quoted, escaped := false, false
	for _, c := range []byte(list) {
		switch {
		case escaped:
			if c != ',' && c != '\\' && c != '"' {
				word.WriteByte('\\')
			}
			word.WriteByte(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			out = append(out, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	if escaped {
		word.WriteByte('\\')
	}
	out = append(out, word.String())
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// applyList sets the flags that -o names, but for those given as flags. sloppy (mount's -s)
// passes over unknown names.
func (o *options) applyList(flags *pflag.FlagSet, sloppy bool) error {
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for _, list := range o.list {
		for _, option := range splitOptions(list) {
			if err := o.applyOption(flags, given, option, sloppy); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *options) applyOption(flags *pflag.FlagSet, given map[string]bool, option string, sloppy bool) error {
	name, value, hasValue := strings.Cut(option, "=")
	switch {
	case strings.HasPrefix(strings.ToLower(name), "x-"), hasValue && slices.Contains(ignoredValues, name), !hasValue && slices.Contains(ignoredOptions, name):
		return nil
	case refusedOptions[name] != "":
		return usage("option %q: %s", "-o "+name, refusedOptions[name])
	case name == "noexec" && !hasValue:
		o.noExec = true
		return nil
	case name == "rw" && !hasValue:
		if given["read-only"] {
			return nil
		}
		o.readOnly = false
		return nil
	}
	flag := optionNames[name]
	if flag == "" {
		flag = strings.ReplaceAll(name, "_", "-")
	}
	f := flags.Lookup(flag)
	if f == nil || f.Name == "options" || f.Name == "help" || f.Name == "foreground" {
		if sloppy {
			return nil
		}
		return usage("unknown option %q; objmount mount --help lists the flags, each of which is an option too", "-o "+name)
	}
	if given[f.Name] {
		return nil
	}
	if !hasValue {
		if f.NoOptDefVal == "" {
			return usage("option %q needs a value: %s=%s", "-o "+name, name, placeholder(f.Value.Type()))
		}
		value = f.NoOptDefVal
	}
	if err := f.Value.Set(value); err != nil {
		if f.Value.Type() == "bool" {
			return usage("option %q: want true or false", "-o "+option)
		}
		return usage("option %q: %v", "-o "+option, err)
	}
	f.Changed = true
	o.note(f.Name, "-o "+name)
	return nil
}

// placeholder stands for a value: SIZE, but close|background as it is.
func placeholder(kind string) string {
	if strings.Contains(kind, "|") {
		return kind
	}
	return strings.ToUpper(kind)
}
