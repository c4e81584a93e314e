package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
)

const (
	lazyTimeout = 5 * time.Second // for the answer to --lazy, which needs no store
	endTimeout  = time.Minute     // for the process to end once everything is stored and unmounted
	noTimeout   = interval(-1)
)

type umountOptions struct {
	lazy    bool
	timeout interval
}

func newUmountCommand() *cobra.Command {
	o := umountOptions{timeout: noTimeout}
	groups := single(func(f *pflag.FlagSet) {
		f.BoolVarP(&o.lazy, "lazy", "l", false, "take the mount away at once, also from programs that use it; uploads go on in the background")
		f.Var(&o.timeout, "timeout", "how long to wait for uploads; what is left then is uploaded by the next mount (exit code 8); 0: do not wait")
		f.Lookup("timeout").DefValue = "" // no limit
	})
	cmd := &cobra.Command{
		Use: "umount [flags] MOUNTPOINT", Aliases: []string{"unmount"}, Short: "wait for uploads, then unmount",
		Long: `Wait until everything that was written is in the store, then unmount. Ctrl-C ends the waiting:
everything stays mounted, and uploads go on.`,
		Example: `  objmount umount /mnt
  objmount umount --timeout=30s /mnt   # leave the rest to the next mount
  objmount umount --lazy /mnt          # take it away now, upload in the background`,
		Args: exactly("MOUNTPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.lazy && o.timeout != noTimeout {
				return usage("--lazy does not wait, so --timeout has no meaning; leave one out")
			}
			return umount(o, args[0])
		},
	}
	cmd.Flags().AddFlagSet(groups[0].flags)
	setHelp(cmd, groups, "Exit codes:\n"+exitHelp())
	return cmd
}

// umount finds the mount behind a path and ends it.
func umount(o umountOptions, path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	mounts, err := readMounts()
	if err != nil {
		return fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	dir, m, ok, err := findMountpoint(mounts, path)
	if err != nil {
		return err
	}
	if !ok || m.fsType != fsType {
		return notOurs(mounts, path, dir, m, ok)
	}
	if info, found := registered(ctx, dir); found {
		return umountThrough(ctx, o, info)
	}
	if euid := os.Geteuid(); euid != 0 && m.uid != uint32(euid) {
		return fail(exitCredentials, "%s was mounted by uid %d; only that user and root may unmount it", dir, m.uid)
	}
	return umountAlone(o, dir)
}

// notOurs says what the path is instead.
func notOurs(mounts []mountEntry, path, dir string, m mountEntry, mounted bool) error {
	if mounted {
		return fail(exitNoMount, "%s is a mount of type %s, not of objmount; use umount", dir, m.fsType)
	}
	if in := holding(mounts, dir); in.fsType == fsType {
		return fail(exitNoMount, "%s is inside a mount; name its mountpoint: objmount umount %s", path, in.dir)
	}
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return fail(exitNoMount, "%s does not exist; objmount status lists what is mounted", path)
	}
	return fail(exitNoMount, "%s is not a mount of objmount; objmount status lists what is mounted", path)
}

// registered finds the socket of the mount at dir. Of several (one over the other) the last is on top.
func registered(ctx context.Context, dir string) (ctl.Info, bool) {
	var found ctl.Info
	ok := false
	for _, i := range ctl.List(ctx, runtimeDirs()...) {
		if i.Mountpoint == dir {
			found, ok = i, true
		}
	}
	return found, ok
}

// umountAlone unmounts where no process answers: it was killed, or its socket is elsewhere.
func umountAlone(o umountOptions, dir string) error {
	dead := isDead(dir)
	err := detach(dir, o.lazy || dead)
	switch {
	case errors.Is(err, errBusy):
		return fail(exitBusy, "%s", busyLine(dir))
	case err != nil:
		return fail(exitFailed, "%s cannot be unmounted: %v", dir, err)
	case dead:
		fmt.Fprintf(os.Stderr, "objmount: the process of %s was gone; files that it had not uploaded are uploaded by the next mount\n", dir)
	default:
		fmt.Fprintf(os.Stderr, "objmount: the control socket of %s was not found; its uploads go on in the background\n", dir)
	}
	return nil
}

// umountThrough asks the process of the mount.
func umountThrough(ctx context.Context, o umountOptions, info ctl.Info) error {
	c := ctl.NewClient(info)
	defer c.Close()
	if o.lazy {
		return umountLazily(ctx, c, info)
	}
	unstored, err := flush(ctx, o, c, info)
	if err == nil {
		err = explainControl(info, c.Unmount(ctx, ctl.UnmountOptions{LeavePending: unstored != nil || o.timeout != noTimeout}))
	}
	if err != nil && isDead(info.Mountpoint) { // it was killed a moment ago
		return umountAlone(o, info.Mountpoint)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	if err := info.Ended(ctx); err != nil {
		return fail(exitPending, "%s is unmounted, but its process %d has not ended yet; see objmount status and its log", info.Mountpoint, info.PID)
	}
	return unstored
}

// umountLazily also works when the process hangs.
func umountLazily(ctx context.Context, c *ctl.Client, info ctl.Info) error {
	ctx, cancel := context.WithTimeout(ctx, lazyTimeout)
	defer cancel()
	err := c.Unmount(ctx, ctl.UnmountOptions{Lazy: true})
	if k := ctl.KindOf(err); err == nil || k != ctl.KindTimeout && k != ctl.KindGone {
		return explainControl(info, err)
	}
	if derr := detach(info.Mountpoint, true); derr != nil {
		return fail(exitFailed, "%v, and %s cannot be detached: %v", err, info.Mountpoint, derr)
	}
	fmt.Fprintf(os.Stderr, "objmount: %v; its mount was taken away, and what it has not uploaded is uploaded by the next mount\n", err)
	return nil
}

// flush waits for uploads and shows them. unstored is what umount returns in the end when it may
// unmount though not everything is stored.
func flush(ctx context.Context, o umountOptions, c *ctl.Client, info ctl.Info) (unstored, err error) {
	bar := newProgress(os.Stderr)
	limited := ctx
	if o.timeout != noTimeout {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, time.Duration(o.timeout))
		defer cancel()
	}
	var last ctl.Progress
	var why stall
	err = c.Flush(limited, func(p ctl.Progress) {
		last = p
		bar.update(p)
		if text := why.look(ctx, c, p); text != "" {
			bar.note(fmt.Sprintf("uploads fail and are tried again: %s\nCtrl-C ends the waiting; objmount umount --timeout=0 %s leaves them to the next mount", text, info.Mountpoint))
		}
	})
	bar.finish()
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, fail(exitInterrupted, "interrupted; %s stays mounted, and uploads go on (%s)", info.Mountpoint, progressText(last))
	case limited.Err() != nil:
		left, serr := pendingFiles(ctx, c)
		if serr != nil || left == 0 {
			return nil, explainControl(info, serr)
		}
		return fail(exitPending, "%s unmounted; %s not uploaded yet, the next mount of %s does it", info.Mountpoint, plural(left, "file"), info.Source), nil
	case ctl.KindOf(err) == ctl.KindConflict:
		return fail(exitPending, "%s unmounted; files that lost against other clients are kept: %v", info.Mountpoint, err), nil
	case ctl.KindOf(err) == ctl.KindFailed:
		return nil, fail(exitPending, "%s stays mounted, because files cannot be stored: %v; see objmount status %s, or leave them to the next mount: objmount umount --timeout=0 %s",
			info.Mountpoint, err, info.Mountpoint, info.Mountpoint)
	}
	return nil, explainControl(info, err)
}

// stall finds out why nothing moves: once.
type stall struct {
	last  ctl.Progress
	since time.Time // nothing moved
	told  bool
}

func (t *stall) look(ctx context.Context, c *ctl.Client, p ctl.Progress) string {
	const soon = 3 * time.Second
	if p != t.last || t.since.IsZero() {
		t.last, t.since = p, time.Now()
	}
	if t.told || time.Since(t.since) < soon {
		return ""
	}
	t.since = time.Now()
	s, err := c.Status(ctx)
	if err != nil {
		return "" // Flush will meet it too
	}
	for _, q := range s.Pending {
		if q.LastError != "" {
			t.told = true
			return q.LastError
		}
	}
	return ""
}

func pendingFiles(ctx context.Context, c *ctl.Client) (int, error) {
	s, err := c.Status(ctx)
	return s.PendingFiles, err
}

// explainControl gives an error of the control socket its exit code.
func explainControl(info ctl.Info, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fail(exitInterrupted, "interrupted; %s may still be mounted: see objmount status", info.Mountpoint)
	}
	switch ctl.KindOf(err) {
	case ctl.KindBusy:
		return fail(exitBusy, "%v", err)
	case ctl.KindPermission:
		return fail(exitCredentials, "%v", err)
	case ctl.KindTimeout:
		return fail(exitFailed, "%v; look at its log, or take the mount away: objmount umount --lazy %s", err, info.Mountpoint)
	case ctl.KindOther, ctl.KindInvalid, ctl.KindGone, ctl.KindFailed, ctl.KindConflict:
	}
	return fail(exitFailed, "%v", err)
}

// underMount returns the registered mount that a path lies in, for commands that take any path.
func underMount(infos []ctl.Info, path string) (ctl.Info, bool) {
	var best ctl.Info
	for _, i := range infos {
		if (path == i.Mountpoint || strings.HasPrefix(path, filepath.Clean(i.Mountpoint)+"/")) && len(i.Mountpoint) >= len(best.Mountpoint) {
			best = i
		}
	}
	return best, best.Mountpoint != ""
}
