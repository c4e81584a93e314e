package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/writeback"
	"github.com/objmount/objmount/ctl"
)

// control is the mount as the control socket sees it.
type control struct {
	p       *parts
	logFile string

	mu       sync.Mutex
	detached bool
	leave    bool // do not wait for uploads after the unmount
}

// Status answers from memory.
func (c *control) Status(context.Context) (ctl.Status, error) {
	cfg, state := c.p.cfg, c.p.fs.Status()
	out := ctl.Status{
		ReadOnly: cfg.readOnly, Commit: cfg.commit.value, LocalFsync: cfg.fsync.value == "local", State: "mounted", Unguarded: []string{},
		Pending: []ctl.Pending{}, Kept: []ctl.Kept{}, OpenFiles: state.OpenFiles, Inodes: state.Inodes, Passthrough: state.Passthrough,
		Staging: ctl.Staging{Dir: c.p.slot.staging(), Bytes: state.Staging.Bytes, Limit: state.Staging.Limit, Files: state.Staging.Files, Quarantined: state.Staging.Quarantined},
		LogFile: c.logFile,
	}
	if cfg.file != nil {
		out.ConfigFile, out.Remote = cfg.file.Path, c.p.remote().Name
	}
	if c.isDetached() {
		out.State = "draining"
	}
	if cfg.src.bucket != "" {
		out.Capabilities = c.p.capabilitiesOf(cfg.src.bucket)
		if !cfg.readOnly {
			out.Unguarded = unguarded(out.Capabilities)
		}
	}
	if cfg.several() {
		out.Remotes = c.p.remotesNow()
	}
	out.Namespaces = c.p.namespacesNow()
	out.PendingFiles, out.KeptFiles = len(state.Pending), len(state.Kept)
	for i, q := range state.Pending {
		out.PendingBytes += q.Bytes - q.Done
		if i < ctl.MaxListed {
			out.Pending = append(out.Pending, pendingOf(q))
		}
	}
	for _, k := range state.Kept[:min(len(state.Kept), ctl.MaxListed)] {
		out.Kept = append(out.Kept, ctl.Kept{ID: k.ID, Bucket: k.Bucket, Key: k.Key, State: k.State, Size: k.Size, Reason: k.Reason, Path: k.Path})
	}
	out.Cache = c.p.cacheStats()
	out.Usage = c.p.usage(state)
	return out, nil
}

func pendingOf(q writeback.Status) ctl.Pending {
	return ctl.Pending{
		ID: q.ID, Bucket: q.Bucket, Key: q.Key, State: q.State, Bytes: q.Bytes, Done: q.Done, Attempts: q.Attempts,
		LastError: q.LastError, NextTry: q.NextTry, Since: q.Since,
	}
}

// Flush waits until everything is stored.
func (c *control) Flush(ctx context.Context, progress func(ctl.Progress)) error {
	err := c.p.fs.Drain(ctx, func(done, total int64, files int) { progress(ctl.Progress{Done: done, Total: total, Files: files}) })
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case writeback.Conflict(err):
		return &ctl.Error{Kind: ctl.KindConflict, Message: err.Error()}
	case backend.IsKind(err, backend.KindCanceled):
		return &ctl.Error{Kind: ctl.KindGone, Message: "the mount is ending"}
	default:
		return &ctl.Error{Kind: ctl.KindFailed, Message: err.Error()}
	}
}

// Unmount detaches the mount; the daemon notices, waits for uploads and ends.
func (c *control) Unmount(_ context.Context, o ctl.UnmountOptions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detached {
		c.leave = o.LeavePending
		return nil
	}
	dir := c.p.cfg.mountpoint
	err := detach(dir, o.Lazy)
	if errors.Is(err, errBusy) {
		return &ctl.Error{Kind: ctl.KindBusy, Message: busyLine(dir)}
	}
	if err != nil && !gone(dir) {
		return &ctl.Error{Kind: ctl.KindOther, Message: fmt.Sprintf("%s cannot be unmounted: %v", dir, err)}
	}
	c.detached, c.leave = true, o.LeavePending // not of an attempt that failed
	return nil
}

// setDetached notes that the mount went away by other hands.
func (c *control) setDetached() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detached = true
}

func (c *control) isDetached() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.detached
}

func (c *control) leavesPending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leave
}

// gone reports whether no mount of ours is at dir any more.
func gone(dir string) bool {
	mounts, err := readMounts()
	if err != nil {
		return false
	}
	m, there := topAt(mounts, dir)
	return !there || m.fsType != fsType
}

// busyLine says who uses a mount and what to do.
func busyLine(dir string) string {
	who := "programs use it"
	if names := usersOf(dir); len(names) > 0 {
		who = "it is used by " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s is busy: %s; leave the directory and close the files, or use: objmount umount --lazy %s", dir, who, dir)
}
