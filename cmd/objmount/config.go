package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// config is a command line that was checked: nothing in it is relative or contradicts itself.
type config struct {
	*options
	src                         source
	shownSource                 string             // as given: mount -a compares it with fstab
	remote                      *configfile.Remote // of the file, when it was read; nil: the source is of none, or of several
	stores                      []storeConfig      // of the source: one, or every remote
	given                       *pflag.FlagSet     // what flags, options and variables have set: no reload changes it
	mountpoint                  string
	places                      places
	stagingShare                bool // --staging-limit was not given
	shownFileMode, shownDirMode uint32
}

// check turns flags and arguments into a config. Nothing is touched; the configuration file is read.
func (o *options) check(flags *pflag.FlagSet, args []string) (*config, error) {
	src, err := parseSource(args[0])
	if err != nil {
		return nil, err
	}
	if args[1] == "" {
		return nil, usage("MOUNTPOINT is empty; name a directory")
	}
	c := &config{options: o, src: src, shownSource: args[0], mountpoint: args[1]}
	c.given = givenFlags(flags)
	if err := o.readFile(flags); err != nil {
		return nil, err
	}
	if c.several() {
		c.stores, err = o.allStores(flags)
	} else if c.remote, err = o.remoteOf(flags, src); err == nil {
		o.storeOptions, err = o.storeFor(flags, c.remote)
	}
	if err != nil {
		return nil, err
	}
	if err := c.narrow(); err != nil {
		return nil, err
	}
	if err := o.applyMountSettings(flags); err != nil {
		return nil, err
	}
	for _, name := range []string{"memory-limit", "part-size"} {
		if why := o.impossible(name); why != "" {
			return nil, usage("%s=%s %s", o.from.told(name), flags.Lookup(name).Value, why)
		}
	}
	if err := o.checkStore(); err != nil {
		return nil, err
	}
	if !c.several() {
		c.stores = []storeConfig{{c.remote, o.storeOptions}}
	}
	if c.places, err = o.resolvePlaces(); err != nil {
		return nil, err
	}
	if o.logFile != "" {
		if o.logFile, err = absolute(o.logFile); err != nil {
			return nil, err
		}
	}
	o.applyAt(c.given)
	c.stagingShare = !flags.Changed("staging-limit")
	c.shownFileMode = shownMode(flags, "file-mode", o.fileMode, o.umask)
	c.shownDirMode = shownMode(flags, "dir-mode", o.dirMode, o.umask)
	return c, nil
}

// impossible says what is wrong with a flag's value although it is of the right type; "": nothing.
func (o *options) impossible(name string) string {
	switch {
	case name == "memory-limit" && o.memoryLimit < size(leastMemory):
		return fmt.Sprintf("is too little to work with; give at least %v", new(size(leastMemory)))
	case name == "part-size" && (o.partSize < size(backend.S3Limits().MinPart) || o.partSize > size(backend.S3Limits().MaxPart)):
		return "is not possible; S3 takes parts from 5MiB to 5GiB"
	}
	return o.storeOptions.impossible(name)
}

// impossible is that of options for the flags of a store.
func (o *storeOptions) impossible(name string) string {
	switch {
	case name == "connect-timeout" && o.connectTimeout == 0, name == "first-byte-timeout" && o.firstByteTimeout == 0, name == "stall-timeout" && o.stallTimeout == 0:
		return "cannot be 0: a store that hangs would hang everything"
	case name == "proxy" && o.proxy != "":
		u, err := url.Parse(o.proxy)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
			return "want a URL such as http://host:port"
		}
	}
	return ""
}

// checkStore checks the flags that say where the store is, and makes their paths absolute.
func (o *storeOptions) checkStore() error {
	if err := o.checkSettings(); err != nil {
		return err
	}
	return o.checkBundle()
}

// checkSettings is checkStore without a look into files.
func (o *storeOptions) checkSettings() error {
	if err := o.checkCredentials(); err != nil {
		return err
	}
	for _, name := range []string{"connect-timeout", "first-byte-timeout", "stall-timeout"} {
		if why := o.impossible(name); why != "" {
			return usage("%s %s", o.from.told(name), why)
		}
	}
	if err := o.checkProxy(); err != nil {
		return err
	}
	for _, name := range []*string{&o.caBundle, &o.credentialsFile} {
		if *name == "" {
			continue
		}
		var err error
		if *name, err = absolute(*name); err != nil {
			return err
		}
	}
	return nil
}

func (o *storeOptions) checkCredentials() error {
	var out []string // those that are there alone: each is named as it was written
	if o.profile != "" {
		out = append(out, o.from.told("profile"))
	}
	if o.credentialsFile != "" {
		out = append(out, o.from.told("credentials-file"))
	}
	if o.noSignRequest && len(out) > 0 {
		return usage("%s sends no credentials; leave out %s, or it",
			o.from.told("no-sign-request"), strings.Join(out, " and "))
	}
	return nil
}

func (o *storeOptions) checkProxy() error {
	from := o.from.told("proxy")
	if u, err := url.Parse(o.proxy); err == nil && u.User != nil && o.from.public("proxy") { // not repeated
		return usage("%s holds a password, which every user of this machine can see; set HTTPS_PROXY in the environment instead", from)
	}
	why := o.impossible("proxy")
	switch {
	case why == "":
		return nil
	case strings.Contains(o.proxy, "@"):
		return usage("%s: %s", from, why)
	default:
		return usage("%s=%s: %s", from, o.proxy, why)
	}
}

// checkBundle looks into the file of certificate authorities: the SDK says less about what is wrong.
func (o *storeOptions) checkBundle() error {
	name := o.caBundle
	if name == "" {
		return nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return usage("%s=%s cannot be read: %v", o.from.told("ca-bundle"), name, errors.Unwrap(err))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return usage("%s=%s holds no certificate; want a PEM file with -----BEGIN CERTIFICATE-----", o.from.told("ca-bundle"), name)
	}
	return nil
}

// checkPlaces refuses local files below the mountpoint: the mount would wait for itself.
func (c *config) checkPlaces() error {
	places := []struct{ path, flag string }{{c.places.state, "--state-dir"}, {c.places.cache, "--cache-dir"}, {c.logPath(), "--log-file"}}
	if c.file != nil {
		places = append(places, struct{ path, flag string }{c.file.Path, "--config"})
	}
	for _, p := range places {
		path := p.path
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if path == c.mountpoint || strings.HasPrefix(path, strings.TrimSuffix(c.mountpoint, "/")+"/") {
			return usage("%s %s lies below the mountpoint %s, which would hide it; choose another place with %s", p.flag, p.path, c.mountpoint, p.flag)
		}
	}
	return nil
}

// shownMode takes the umask off: always off the default, off a mode that was given only if the
// umask was given too.
func shownMode(flags *pflag.FlagSet, name string, mode, umask octal) uint32 {
	if flags.Changed(name) && !flags.Changed("umask") {
		return uint32(mode)
	}
	return uint32(mode &^ umask)
}

// logPath is the file that the log goes to; empty: standard error.
func (c *config) logPath() string {
	if c.logFile != "" || c.foreground {
		return c.logFile
	}
	return backgroundLog(c.places.state, filepath.Clean(c.mountpoint))
}
