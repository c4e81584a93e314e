package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// configPlaces are where a configuration file is looked for when none is named, the first that is there.
func configPlaces() []string {
	var places []string
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // the XDG rules: a relative one counts as not set
		places = append(places, filepath.Join(dir, "objmount/config.toml"))
	} else if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".config/objmount/config.toml"))
	}
	return append(places, "/etc/objmount/config.toml")
}

// configPath returns the configuration file that is to be read, "" for none, and whether it was named.
func (o *options) configPath(flags *pflag.FlagSet) (path string, named bool) {
	if flags.Changed("config") {
		return o.configFile, true
	}
	for _, path := range configPlaces() {
		_, err := os.Stat(path)
		if err == nil {
			return path, false
		}
		// Whoever may not look into the directory cannot be meant by what is in it.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.ENOTDIR) {
			return path, false
		}
	}
	return "", false
}

// readFile reads the configuration file, if there is one. The flag --config and the variable are applied before.
func (o *options) readFile(flags *pflag.FlagSet) error {
	path, named := o.configPath(flags)
	if path == "" {
		o.file = nil
		return nil
	}
	path, err := absolute(path)
	if err != nil {
		return err
	}
	if o.file, err = configfile.Load(path, fileFlags()); err == nil {
		return nil
	}
	if named {
		return usage("%s: %v", o.from.told("config"), err)
	}
	return usage("%v", err)
}

// remoteOf returns the remote that a source is of, nil for none: the one that it names, or --remote does, else the one that the bucket's
// name leads to. For every bucket (s3://) that is the default one.
func (o *options) remoteOf(flags *pflag.FlagSet, src source) (*configfile.Remote, error) {
	told := strings.HasPrefix(o.from.told("remote"), "-") // not by a variable, which is for all that names none
	switch {
	case src.remote == "" && o.remoteName != "":
		return o.remoteNamed(o.remoteName, o.from.told("remote"))
	case src.remote != "" && flags.Changed("remote") && told && src.remote != o.remoteName:
		return nil, usage("%s=%s and %s: name one remote", o.from.told("remote"), o.remoteName, src)
	case src.remote != "":
		return o.remoteNamed(src.remote, src.String())
	case o.file == nil:
		return nil, nil
	case src.bucket == "":
		return o.file.Remote(o.file.Default), nil
	default:
		return o.file.Route(src.bucket), nil
	}
}

// remoteNamed looks a remote up; by is who asks for it.
func (o *options) remoteNamed(name, by string) (*configfile.Remote, error) {
	if o.file == nil {
		return nil, usage("%s: there is no remote %q, as there is no configuration file; write %s, or name one with --config", by, name, strings.Join(configPlaces(), " or "))
	}
	if r := o.file.Remote(name); r != nil {
		return r, nil
	}
	var names []string
	for _, r := range o.file.Remotes {
		names = append(names, r.Name)
	}
	has := "it has none"
	if len(names) > 0 {
		has = "it has " + strings.Join(names, ", ")
	}
	return nil, usage("%s: there is no remote %q in %s; %s", by, name, o.file.Path, has)
}
