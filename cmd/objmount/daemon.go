package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
	"github.com/objmount/objmount/fs"
)

// mountDaemon is a mount from the first request to the end of the process.
type mountDaemon struct {
	cfg     *config
	log     *slog.Logger
	live    *live
	sink    *logSink
	ready   *readyPipe // nil in the foreground
	parts   *parts
	mount   *fs.Mount
	control *control
	server  *ctl.Server
	notify  *notifier
	signals chan os.Signal
}

// serve mounts, tells the parent, and returns when the mount has ended and everything is closed.
func (d *mountDaemon) serve() error {
	d.signals = make(chan os.Signal, 8)
	signal.Notify(d.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1)
	defer signal.Stop(d.signals)
	d.notify = newNotifier(d.log)
	defer d.notify.close()
	d.parts = &parts{cfg: d.cfg, log: d.log, live: d.live}
	err := d.start()
	if err != nil {
		if cerr := d.closeParts(); cerr != nil {
			d.log.Debug("closing", slog.String("error", cerr.Error()))
		}
		err = cannotMount(d.cfg, err)
		if d.ready != nil {
			d.log.Error(err.Error())
		}
		return d.ready.refuse(err)
	}
	if d.ready != nil {
		if _, err := unix.Setsid(); err != nil {
			d.log.Warn("a session of its own", slog.String("error", err.Error()))
		}
	}
	if err := d.ready.tell(nil); err != nil {
		d.log.Error("who started the mount is gone; ending it", slog.String("error", err.Error()))
		d.signals <- unix.SIGTERM
	}
	d.notify.ready(fmt.Sprintf("%s is mounted at %s", shownSource(d.cfg.src.String(), d.cfg.at.Time), d.cfg.mountpoint))
	d.notify.watch(context.Background(), d.cfg.mountpoint)
	d.log.Info("mounted", slog.String("source", d.cfg.src.String()), d.cfg.atAttr(), slog.String("mountpoint", d.cfg.mountpoint),
		slog.String("endpoint", d.parts.endpoint), slog.String("commit", d.cfg.commit.value), slog.String("version", version))
	return d.untilEnd()
}

// start does everything up to a mount that answers. A signal ends the waiting for the store.
func (d *mountDaemon) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	opened := make(chan error, 1)
	go func() { opened <- d.parts.open(ctx) }()
	for waiting := true; waiting; {
		select {
		case err := <-opened:
			if err != nil {
				return err
			}
			waiting = false
		case s := <-d.signals:
			if s == unix.SIGINT || s == unix.SIGTERM {
				cancel()
				_ = <-opened // whatever it is, the signal is why
				return fail(exitInterrupted, "interrupted; nothing is mounted")
			}
			d.maintain(s)
		}
	}
	return d.attach()
}

// attach mounts and asks the mount through the kernel.
func (d *mountDaemon) attach() error {
	c := d.cfg
	var err error
	d.mount, err = d.parts.fs.Mount(c.mountpoint, fs.MountOptions{FSName: c.shownSource, AllowOther: c.allowOther, NoExec: c.noExec, Debug: c.debugFUSE})
	if err != nil {
		return d.explainMount(err)
	}
	var st unix.Statfs_t
	err = unix.Statfs(c.mountpoint, &st)
	if err == nil {
		var root unix.Stat_t
		err = unix.Lstat(c.mountpoint, &root)
	}
	if err != nil {
		err = fail(exitFailed, "%s is mounted at %s but does not answer: %v", c.src, c.mountpoint, err)
	} else {
		err = d.openControl()
	}
	if err != nil {
		if derr := detach(c.mountpoint, true); derr == nil {
			d.mount.Wait()
		}
	}
	return err
}

func (d *mountDaemon) openControl() error {
	d.control = &control{p: d.parts, logFile: d.sink.name}
	dir, err := makeRuntimeDir()
	if err == nil {
		d.server, err = ctl.Serve(dir, ctl.Info{
			Source: d.cfg.src.String(), Mountpoint: d.cfg.mountpoint, Endpoint: d.parts.endpoint, Started: time.Now().UTC().Truncate(time.Millisecond), At: d.cfg.at.Time, Version: version,
		}, d.control, d.log)
	}
	if err != nil {
		return fail(exitLocal, "%v; set XDG_RUNTIME_DIR to a directory of your own", err)
	}
	return nil
}

// explainMount says why the kernel or fusermount3 did not mount.
func (d *mountDaemon) explainMount(err error) error {
	dir := d.cfg.mountpoint
	switch {
	case os.Geteuid() != 0:
		where := "above"
		if d.sink.name != "" {
			where = "in the log " + d.sink.name
		}
		return fail(exitNoFUSE, "mounting at %s failed (%v); what fusermount3 said is %s", dir, err, where)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fail(exitNoFUSE, "mounting at %s is not allowed (%v); run as root, or start the container with --device /dev/fuse --cap-add SYS_ADMIN", dir, innermostErrno(err))
	case errors.Is(err, unix.EBUSY):
		return fail(exitMountpoint, "mountpoint %s is in use (%v); choose another directory", dir, innermostErrno(err))
	default:
		return fail(exitNoFUSE, "mounting at %s failed (%v); the kernel log may say more: dmesg | tail", dir, innermostErrno(err))
	}
}

// innermostErrno cuts what is wrapped around the kernel's answer.
func innermostErrno(err error) error {
	if no, ok := errors.AsType[unix.Errno](err); ok {
		return no
	}
	return err
}
