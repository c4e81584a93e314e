package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
)

const (
	closeTimeout   = 30 * time.Second // for requests on their way that create an object
	controlTimeout = 2 * time.Second  // for answers on the control socket
	busyRetry      = 250 * time.Millisecond
)

// untilEnd waits for the end of the mount, by umount or a signal, and closes everything.
func (d *mountDaemon) untilEnd() error {
	unmounted := make(chan struct{})
	go func() {
		d.mount.Wait()
		close(unmounted)
	}()
	for {
		select {
		case <-unmounted:
			d.control.setDetached()
			return d.finish(d.drainDetached())
		case s := <-d.signals:
			if s != unix.SIGINT && s != unix.SIGTERM {
				d.maintain(s)
				continue
			}
			return d.finish(d.stopBySignal(s, unmounted))
		}
	}
}

// maintain does what the signals ask for that do not end anything.
func (d *mountDaemon) maintain(s os.Signal) {
	switch s {
	case unix.SIGHUP:
		if err := d.sink.reopen(); err != nil {
			d.log.Error("the log file cannot be opened again", slog.String("error", err.Error()))
		}
		if d.control != nil && d.cfg.file != nil {
			d.parts.reloadBySignal()
		}
	case unix.SIGUSR1:
		d.dump()
	}
}

// dump writes the state and the stacks of all goroutines to the log, as text that people read.
func (d *mountDaemon) dump() {
	text := bytes.NewBufferString("state: ")
	if d.control == nil {
		text.WriteString("starting\n")
	} else if status, err := d.control.Status(context.Background()); err != nil {
		fmt.Fprintln(text, err)
	} else if err := json.NewEncoder(text).Encode(status); err != nil {
		fmt.Fprintln(text, err)
	}
	if err := pprof.Lookup("goroutine").WriteTo(text, 2); err != nil {
		fmt.Fprintln(text, err)
	}
	d.log.Info("state and stacks follow")
	if _, err := d.sink.Write(text.Bytes()); err != nil {
		d.log.Error("writing state and stacks", slog.String("error", err.Error()))
	}
}

// drain waits for uploads until ctx ends or a second signal comes. It reports whether such a signal
// left uploads for the next mount.
func (d *mountDaemon) drain(ctx context.Context) (left bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	last := time.Now()
	go func() {
		done <- d.control.Flush(ctx, func(p ctl.Progress) {
			if time.Since(last) > time.Second {
				last = time.Now()
				d.notify.patience(10*time.Second, "uploading "+progressText(p))
			}
		})
	}()
	for {
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
				d.log.Warn("not everything could be stored; it is kept for the next mount", slog.String("error", err.Error()), slog.String("dir", d.parts.slot.staging()))
			}
			return false
		case s := <-d.signals:
			if s == unix.SIGINT || s == unix.SIGTERM {
				d.log.Info("second signal; leaving uploads for the next mount", slog.String("signal", s.String()))
				cancel()
				_ = <-done // that it was ended
				return true
			}
			d.maintain(s)
		}
	}
}

// stopBySignal drains while the mount is still there, unmounts, and drains what came meanwhile,
// all within the limit. A mount that stays busy is detached lazily: its programs get errors.
func (d *mountDaemon) stopBySignal(s os.Signal, unmounted <-chan struct{}) bool {
	limit := time.Duration(d.parts.live.drainTimeout.Load())
	d.log.Info("stopping", slog.String("signal", s.String()), slog.String("limit", limit.String()))
	d.notify.stopping("waiting for uploads")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	left := d.drain(ctx)
	for {
		err := d.control.Unmount(ctx, ctl.UnmountOptions{})
		if err == nil {
			break
		}
		if ctl.KindOf(err) != ctl.KindBusy || ctx.Err() != nil {
			d.log.Warn("detaching a mount that is in use", slog.String("reason", err.Error()))
			if err := d.control.Unmount(ctx, ctl.UnmountOptions{Lazy: true}); err != nil {
				d.log.Error("the mount cannot be detached", slog.String("error", err.Error()))
			}
			return false // its programs may write on; what is closed is in the journal
		}
		select {
		case <-ctx.Done():
		case <-unmounted:
		case s := <-d.signals:
			if d.maintain(s); s == unix.SIGINT || s == unix.SIGTERM {
				cancel()
			}
		case <-time.After(busyRetry):
		}
	}
	select {
	case <-unmounted:
		if !left {
			d.drain(ctx)
		}
		return true
	case <-time.After(closeTimeout):
		d.log.Error("the kernel does not let go of the mount")
		return false
	}
}

// drainDetached uploads what is left after somebody unmounted. Only a signal sets a limit.
func (d *mountDaemon) drainDetached() bool {
	if d.control.leavesPending() {
		return true
	}
	d.notify.stopping("unmounted, waiting for uploads")
	d.drain(context.Background())
	return true
}

// finish closes everything. orderly is false when programs still use the mount: then closing
// must not wait for them.
func (d *mountDaemon) finish(orderly bool) error {
	err := d.closeParts()
	if err != nil && orderly {
		d.log.Error("closing", slog.String("error", err.Error()))
	}
	unsent := d.parts.unsent
	if unsent == 0 {
		d.log.Info("ended", slog.String("mountpoint", d.cfg.mountpoint))
		return nil
	}
	d.log.Warn("ended; files are left for the next mount", slog.Int("files", unsent), slog.String("dir", d.parts.slot.dir))
	return fail(exitPending, "%s of %s not uploaded yet; the next mount of it does that (kept in %s)", plural(unsent, "file"), d.cfg.src, d.parts.slot.dir)
}

// closeParts ends the control socket first: it answers from the parts.
func (d *mountDaemon) closeParts() error {
	var err error
	if d.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
		defer cancel()
		err = d.server.Close(ctx)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(err, d.parts.close(ctx))
}

func microseconds(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
