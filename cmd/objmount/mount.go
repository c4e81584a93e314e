package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const mountLong = `Mount SOURCE at the directory MOUNTPOINT.

SOURCE is one of
  s3://BUCKET           a bucket
  s3://BUCKET/PREFIX    what begins with PREFIX/
  s3://                 every bucket, each a directory
  REMOTE:BUCKET/PREFIX  the same of a remote of the configuration file; REMOTE: has every bucket of it
  all:                  every remote, each a directory with its buckets

With --at TIME everything is shown as it was then, read-only, from the versions that a bucket keeps.
A day alone begins at midnight, a time without a zone is local time, and "ago" and "yesterday" count
from now, so that the hour stays; what was understood, the log and objmount status say. Any number of times can be mounted beside each other.

Every flag can be given as -o NAME=VALUE, as a variable such as OBJMOUNT_METADATA_TTL, and in the configuration file: of a remote where
the store is, in [mount] the others. The first of these that has a value decides. A bucket of s3:// belongs to the remote that has a
pattern for it, else to default-remote. SIGHUP and objmount ctl config reload read the file again.

The command returns when the mount answers, or says in one line why it cannot. Credentials come
from where the AWS SDK looks for them: environment, ~/.aws, SSO, instance or web identity. They
are never given on a command line.`

const mountExample = `  # a bucket of Amazon S3, or a prefix of it
  objmount mount s3://my-bucket /mnt
  objmount mount s3://my-bucket/data/2026/ /mnt

  # every bucket
  objmount mount s3:// /mnt

  # every remote of the configuration file, with all of its buckets: cp and mv work between them
  objmount mount all: /mnt

  # a store that the configuration file knows, by its name or by that of the bucket; objmount config show has all values
  objmount mount minio:my-bucket/data /mnt
  objmount mount --remote minio --config lab.toml s3://my-bucket /mnt
  OBJMOUNT_COMMIT=background objmount mount s3://my-bucket /mnt

  # MinIO, VersityGW, Ceph without a file: give the endpoint
  objmount mount --endpoint-url http://127.0.0.1:9000 s3://my-bucket /mnt

  # a public bucket, without credentials
  objmount mount --no-sign-request --read-only --region us-east-1 s3://public-bucket /mnt

  # close returns when the data is journalled on the local disk; uploads follow
  objmount mount --commit=background s3://my-bucket /mnt

  # as everything was three days ago, deleted directories included, beside the live mount
  objmount mount --at "3 days ago" s3://my-bucket /mnt.then

  # in /etc/fstab, after make install
  s3://my-bucket   /mnt  objmount  _netdev,nofail,x-systemd.automount,allow-other  0  0
  minio:my-bucket  /lab  objmount  _netdev,nofail,config=/etc/objmount/lab.toml    0  0`

func newMountCommand(inv *invocation) *cobra.Command {
	o := newOptions()
	groups := o.groups()
	cmd := &cobra.Command{
		Use:     "mount [flags] SOURCE MOUNTPOINT",
		Short:   "mount a bucket, a prefix, every bucket, or several stores",
		Long:    mountLong,
		Example: mountExample,
		Args:    exactly("SOURCE", "MOUNTPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.applyList(cmd.Flags(), inv.sloppy); err != nil {
				return err
			}
			if err := o.applyEnvironment(cmd.Flags()); err != nil {
				return err
			}
			o.stray = strayVariables(os.Environ(), cmd.Flags())
			return runMount(inv, o, cmd.Flags(), args)
		},
	}
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	o.fake = inv.fake
	setHelp(cmd, groups, "Exit codes:\n"+exitHelp())
	return cmd
}

// runMount checks what can be checked here, then mounts in this process or in one in the background.
func runMount(inv *invocation, o *options, flags *pflag.FlagSet, args []string) error {
	c, err := o.check(flags, args)
	if err != nil {
		return err
	}
	ready, err := inheritReady()
	if err != nil {
		return err
	}
	inv.child = ready != nil
	if ready == nil { // the process in the background has been checked by its parent
		if err := checkFUSE(c.allowOther); err != nil {
			return cannotMount(c, err)
		}
	}
	if c.mountpoint, err = checkMountpoint(c.mountpoint, c.nonEmpty); err != nil {
		return ready.refuse(cannotMount(c, err))
	}
	if err := c.checkPlaces(); err != nil {
		return ready.refuse(err)
	}
	if c.fake {
		return nil
	}
	if err := absoluteEnvironment(); err != nil {
		return ready.refuse(cannotMount(c, err))
	}
	for i := range c.stores {
		if err := c.stores[i].nameProfile(); err != nil && !c.several() { // of several the others can be used
			return ready.refuse(cannotMount(c, err))
		}
	}
	if !c.foreground && ready == nil {
		if text := strayText(c.stray); text != "" { // the log, which has it too, is a file
			fmt.Fprintf(os.Stderr, "objmount: warning: %s\n", text)
		}
		if err := makeParent(c.logPath()); err != nil {
			if c.logFile == "" {
				return cannotMount(c, fail(exitLocal, "the state directory %s cannot be used: %v; choose another with --state-dir", c.places.state, err))
			}
			return cannotMount(c, fail(exitLocal, "the log file %s cannot be written: %v; choose another with --log-file", c.logFile, err))
		}
		return startBackground(inv.args, c.logPath())
	}
	return runDaemon(c, ready)
}

// cannotMount says what failed, before why.
func cannotMount(c *config, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok || f.code == exitUsage || f.code == exitPending {
		return err
	}
	return fail(f.code, "cannot mount %s: %s", strings.TrimSuffix(c.src.String(), ":"), f.text) // of all: one colon is enough
}

// nameProfile names the profile of a credentials file that was given: the SDK asks the environment's keys before any file,
// unless a profile is named.
func (o *storeOptions) nameProfile() error {
	if o.credentialsFile == "" {
		return nil
	}
	if o.profile == "" {
		o.profile = cmp.Or(os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"), "default")
	}
	f, err := os.Open(o.credentialsFile)
	if err != nil {
		return fail(exitCredentials, "%s %s cannot be read: %v", o.from.told("credentials-file"), o.credentialsFile, errors.Unwrap(err))
	}
	return f.Close()
}

// runDaemon is the mount itself.
func runDaemon(c *config, ready *readyPipe) error {
	const most = 16 << 20 // bytes of a log file that nobody asked for
	limit := int64(0)
	if c.logFile == "" {
		limit = most
	}
	sink, err := openLog(c.logPath(), limit)
	if err == nil && ready != nil {
		err = leave(sink)
	}
	if err != nil {
		return ready.refuse(cannotMount(c, fail(exitLocal, "the log cannot be written: %v; choose another with --log-file", err)))
	}
	live := newLive(c.options)
	log := newLogger(sink, &live.level, c.logFormat.value, sink.name == "" && toJournal(os.Stderr))
	slog.SetDefault(log)
	if text := strayText(c.stray); text != "" {
		log.Warn(text)
	}
	d := &mountDaemon{cfg: c, log: log, live: live, sink: sink, ready: ready}
	return d.serve()
}

// programName is the name that we were called by.
func programName(args []string) string { return filepath.Base(args[0]) }
