package main

import (
	"os"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// options are the flags of mount. Every flag can also be given as -o NAME or -o NAME=VALUE.
type options struct {
	list []string // -o, as given
	fileOptions
	mountOptions
	storeOptions
	promiseOptions
	localOptions
	logOptions
}

// fileOptions say which configuration file there is, and which of its remotes is meant.
type fileOptions struct {
	configFile string
	remoteName string
	file       *configfile.File // nil: there is none, or it is not read yet
	stray      []string         // variables of the environment that look like flags and are none
}

// mountOptions say how the tree looks and who may use it.
type mountOptions struct {
	foreground bool
	readOnly   bool
	at         moment
	namespace  string
	allowOther bool
	nonEmpty   bool
	noExec     bool // only as -o noexec
	fake       bool // mount(8)'s -f: check, do not mount
	uid, gid   account
	fileMode   octal
	dirMode    octal
	umask      octal
	posix      choice
}

// storeOptions say where the store is and how patient we are with it.
type storeOptions struct {
	endpoint         string
	region           string
	profile          string
	credentialsFile  string
	noSignRequest    bool
	pathStyle        choice
	caBundle         string
	proxy            string
	maxAttempts      count
	maxConnections   count
	connectTimeout   interval
	firstByteTimeout interval
	stallTimeout     interval

	from origins // of these values and those of the other flags
}

// promiseOptions say when data is stored and how fresh what is shown must be.
type promiseOptions struct {
	commit          choice
	fsync           choice
	exclusiveCreate choice
	consistency     choice
	metadataTTL     interval
	negativeTTL     interval
	retryTimeout    interval
	drainTimeout    interval
	partSize        size
	parallelParts   count
}

// localOptions bound what is used of this machine.
type localOptions struct {
	stateDir     string
	cacheDir     string
	cacheSize    size
	stagingLimit size
	memoryLimit  size
}

// logOptions say what is logged, how and where.
type logOptions struct {
	logLevel  choice
	logFormat choice
	logFile   string
	debugFUSE bool
}

// flagGroup is one section of the help.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newOptions() *options {
	o := &options{}
	o.uid = account{uint32(os.Getuid()), lookupUser, "user"}
	o.gid = account{uint32(os.Getgid()), lookupGroup, "group"}
	o.fileMode, o.dirMode, o.umask = 0o666, 0o777, 0o022
	o.posix = choice{"auto", []string{"auto", "on", "off"}}
	o.at.now = time.Now
	o.pathStyle = choice{"auto", []string{"auto", "true", "false"}}
	o.maxAttempts = count{5, 1, 100}
	o.maxConnections = count{256, 8, 10_000}
	o.connectTimeout = interval(10 * time.Second)
	o.firstByteTimeout = interval(time.Minute)
	o.stallTimeout = interval(30 * time.Second)
	o.commit = choice{"close", []string{"close", "background"}}
	o.fsync = choice{"remote", []string{"remote", "local"}}
	o.exclusiveCreate = choice{"commit", []string{"commit", "open"}}
	o.consistency = choice{"close-to-open", []string{"close-to-open", "ttl", "immutable"}}
	o.metadataTTL = interval(10 * time.Second)
	o.negativeTTL = interval(time.Second)
	o.retryTimeout = interval(5 * time.Minute)
	o.drainTimeout = interval(time.Minute)
	o.partSize = size(8 * backend.MiB)
	o.parallelParts = count{16, 1, 1000}
	o.cacheSize = size(10 * backend.GiB)
	o.memoryLimit = size(256 * backend.MiB)
	o.logLevel = choice{"info", []string{"debug", "info", "warn", "error"}}
	o.logFormat = choice{"text", []string{"text", "json"}}
	return o
}

// groups registers the flags, in the order and sections of the help.
func (o *options) groups() []flagGroup {
	group := func(title string, register func(f *pflag.FlagSet)) flagGroup {
		f := pflag.NewFlagSet(title, pflag.ContinueOnError)
		f.SortFlags = false
		register(f)
		return flagGroup{title, f}
	}
	return []flagGroup{
		group("Mount", o.mountFlags), group(storeTitle, o.allStoreFlags), group("Durability and consistency", o.promiseFlags),
		group("This machine", o.localFlags), group("Log", o.logFlags),
	}
}

func (o *options) mountFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.foreground, "foreground", "f", false, "stay in the foreground (for services; speaks systemd's notify protocol)")
	f.BoolVarP(&o.readOnly, "read-only", "r", false, "refuse every change")
	f.StringVar(&o.namespace, "namespace", "", "`name` of a namespace that the configuration file has for the bucket: mount that part of it alone")
	f.Var(&o.at, "at", "show everything as it was at a time in the past, read-only, from a bucket's versions: 2026-11-01T12:00:00Z, 2026-11-01, \"2026-11-01 12:00\", \"3 days ago\", yesterday (at this hour), now")
	f.BoolVar(&o.allowOther, "allow-other", false, "let other users use the mount (modes decide)")
	f.BoolVar(&o.nonEmpty, "nonempty", false, "mount over a directory that has files; they are hidden meanwhile")
	f.Var(&o.uid, "uid", "owner of files without an owner of their own: number or name")
	f.Var(&o.gid, "gid", "group of files without a group of their own: number or name")
	f.Var(&o.fileMode, "file-mode", "mode of files without a mode of their own; --umask is taken off if it is given or this is not")
	f.Var(&o.dirMode, "dir-mode", "mode of directories, likewise")
	f.Var(&o.umask, "umask", "permission bits to take off")
	f.Var(&o.posix, "posix", "read mode, owner, times and symlinks from object metadata: where a mount has kept them, everywhere (a request per file), or nowhere")
	f.StringArrayVarP(&o.list, "options", "o", nil, "comma-separated `list` of NAME or NAME=VALUE, for each of these flags, and what mount(8) passes; flags win over it")
}

const storeTitle = "Store"

// allStoreFlags are the flags of one store, and those that find it in the configuration file.
func (o *options) allStoreFlags(f *pflag.FlagSet) {
	f.StringVar(&o.configFile, "config", "", "configuration `file`; \"\": none (default ~/.config/objmount/config.toml, else /etc/objmount/config.toml)")
	f.StringVar(&o.remoteName, "remote", "", "`name` of the remote of the configuration file that s3:// means (default: the one whose buckets it names, else default-remote)")
	o.storeFlags(f)
}

func (o *options) storeFlags(f *pflag.FlagSet) {
	f.StringVar(&o.endpoint, "endpoint-url", "", "`URL` of the store (default: that of AWS_ENDPOINT_URL or the profile, else Amazon S3)")
	f.StringVar(&o.region, "region", "", "`name` of the region that requests are signed for (default: that of the environment or profile, else us-east-1)")
	f.StringVar(&o.profile, "profile", "", "`name` of a profile of the shared AWS configuration files")
	f.StringVar(&o.credentialsFile, "credentials-file", "", "shared credentials `file` instead of ~/.aws/credentials")
	f.BoolVar(&o.noSignRequest, "no-sign-request", false, "send no credentials, for public buckets")
	f.Var(&o.pathStyle, "path-style", "bucket in the path instead of the host name")
	f.Lookup("path-style").NoOptDefVal = "true"
	f.StringVar(&o.caBundle, "ca-bundle", "", "PEM `file` of the certificate authorities to trust")
	f.StringVar(&o.proxy, "proxy", "", "`URL` of a proxy (default: HTTPS_PROXY and the like)")
	f.Var(&o.maxAttempts, "max-attempts", "how often a request that may be repeated is tried")
	f.Var(&o.maxConnections, "max-connections", "connections to the store at once")
	f.Var(&o.connectTimeout, "connect-timeout", "limit for making a connection")
	f.Var(&o.firstByteTimeout, "first-byte-timeout", "limit for the first byte of an answer")
	f.Var(&o.stallTimeout, "stall-timeout", "limit without any byte of a transfer")
}

func (o *options) promiseFlags(f *pflag.FlagSet) {
	f.Var(&o.commit, "commit", "close returns when the object is stored, or when it is journalled on the local disk")
	f.Var(&o.fsync, "fsync", "fsync waits for the store, or for the local disk")
	f.Var(&o.exclusiveCreate, "exclusive-create", "decide O_EXCL between mounts when the file is stored, or by a request at open")
	f.Var(&o.consistency, "consistency", "ask the store at each open, only after --metadata-ttl, or never again for a known object")
	f.Var(&o.metadataTTL, "metadata-ttl", "how long names and attributes are taken as known")
	f.Var(&o.negativeTTL, "negative-ttl", "how long a missing name is taken as missing")
	f.Var(&o.retryTimeout, "retry-timeout", "how long a call waits while the store cannot be reached or fails, before it is an error; the attempt under way then may take up to --first-byte-timeout more; uploads are tried on after it")
	f.Var(&o.drainTimeout, "drain-timeout", "how long SIGTERM waits for uploads; the rest is left for the next mount")
	f.Var(&o.partSize, "part-size", "smallest part of a multipart upload")
	f.Var(&o.parallelParts, "parallel-parts", "parts uploaded at once")
}

func (o *options) localFlags(f *pflag.FlagSet) {
	f.StringVar(&o.stateDir, "state-dir", "", "`directory` of files that are not uploaded yet: must survive a restart "+
		"(default $OBJMOUNT_STATE_DIR, $XDG_STATE_HOME/objmount, else "+defaultPlace("/var/lib/objmount", "~/.local/state/objmount")+")")
	f.StringVar(&o.cacheDir, "cache-dir", "", "`directory` of what can be fetched again (default $XDG_CACHE_HOME/objmount, else "+defaultPlace("/var/cache/objmount", "~/.cache/objmount")+")")
	f.Var(&o.cacheSize, "cache-size", "most bytes of objects kept there, at most half of the free space; 0: none")
	f.Var(&o.stagingLimit, "staging-limit", "most bytes of files that are not uploaded yet; 0: until the disk is full (default: 9/10 of the free space)")
	f.Lookup("staging-limit").DefValue = ""
	f.Var(&o.memoryLimit, "memory-limit", "memory for buffers, caches and the rest, at least 64MiB")
}

func (o *options) logFlags(f *pflag.FlagSet) {
	f.Var(&o.logLevel, "log-level", "what is logged")
	f.Var(&o.logFormat, "log-format", "form of the log")
	f.StringVar(&o.logFile, "log-file", "", "`file` to append to; SIGHUP opens it again (default: standard error, in the background a file below the state directory)")
	f.BoolVar(&o.debugFUSE, "debug-fuse", false, "log every request of the kernel")
}

// defaultPlace is the default for this user.
func defaultPlace(root, other string) string {
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		return root
	}
	return other
}
