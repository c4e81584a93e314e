package main

import (
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
)

// config is a command line that was checked: nothing in it is relative or contradicts itself.
type config struct {
	*options
	src                         source
	shownSource                 string // as given: mount -a compares it with fstab
	mountpoint                  string
	places                      places
	stagingShare                bool // --staging-limit was not given
	shownFileMode, shownDirMode uint32
}

// check turns flags and arguments into a config, without touching anything.
func (o *options) check(flags *pflag.FlagSet, args []string) (*config, error) {
	src, err := parseSource(args[0])
	if err != nil {
		return nil, err
	}
	if src.remote != "" {
		return nil, usage("SOURCE %q names a remote, but there is no configuration file", args[0])
	}
	if args[1] == "" {
		return nil, usage("MOUNTPOINT is empty; name a directory")
	}
	c := &config{options: o, src: src, shownSource: args[0], mountpoint: args[1]}
	if o.memoryLimit < size(leastMemory) {
		return nil, usage("--memory-limit=%v is too little to work with; give at least %v", &o.memoryLimit, new(size(leastMemory)))
	}
	if o.partSize < size(backend.S3Limits().MinPart) || o.partSize > size(backend.S3Limits().MaxPart) {
		return nil, usage("--part-size=%v is not possible; S3 takes parts from 5MiB to 5GiB", &o.partSize)
	}
	if err := o.checkStore(flags); err != nil {
		return nil, err
	}
	if c.places, err = o.resolvePlaces(); err != nil {
		return nil, err
	}
	if o.logFile != "" {
		if o.logFile, err = absolute(o.logFile); err != nil {
			return nil, err
		}
	}
	o.applyAt(flags)
	c.stagingShare = !flags.Changed("staging-limit")
	c.shownFileMode = shownMode(flags, "file-mode", o.fileMode, o.umask)
	c.shownDirMode = shownMode(flags, "dir-mode", o.dirMode, o.umask)
	return c, nil
}

// checkStore checks the flags that say where the store is, and makes their paths absolute.
func (o *storeOptions) checkStore(flags *pflag.FlagSet) error {
	if o.noSignRequest && (o.credentialsFile != "" || flags.Changed("profile")) {
		return usage("--no-sign-request sends no credentials; leave out --profile and --credentials-file, or it")
	}
	if o.connectTimeout == 0 || o.firstByteTimeout == 0 || o.stallTimeout == 0 {
		return usage("--connect-timeout, --first-byte-timeout and --stall-timeout cannot be 0: a store that hangs would hang everything")
	}
	if err := checkProxy(o.proxy); err != nil {
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
	return checkBundle(o.caBundle)
}

func checkProxy(proxy string) error {
	u, err := url.Parse(proxy)
	switch {
	case proxy == "":
		return nil
	case err == nil && u.User != nil: // not repeated
		return usage("--proxy holds a password, which every user of this machine can see; set HTTPS_PROXY in the environment instead")
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5":
		return usage("--proxy=%s: want a URL such as http://host:port", proxy)
	}
	return nil
}

// checkBundle looks into the file of certificate authorities: the SDK says less about what is wrong.
func checkBundle(name string) error {
	if name == "" {
		return nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return usage("--ca-bundle=%s cannot be read: %v", name, errors.Unwrap(err))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return usage("--ca-bundle=%s holds no certificate; want a PEM file with -----BEGIN CERTIFICATE-----", name)
	}
	return nil
}

// checkPlaces refuses local files below the mountpoint: the mount would wait for itself.
func (c *config) checkPlaces() error {
	for _, p := range []struct{ path, flag string }{{c.places.state, "--state-dir"}, {c.places.cache, "--cache-dir"}, {c.logPath(), "--log-file"}} {
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
