package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifier tells systemd how the mount is, when it started us with Type=notify.
type notifier struct {
	log  *slog.Logger
	stop context.CancelFunc
	work sync.WaitGroup
}

// newNotifier leaves NOTIFY_SOCKET in the environment: none of our children speaks to it, and
// NotifyAccess=main ignores them.
func newNotifier(log *slog.Logger) *notifier { return &notifier{log: log, stop: func() {}} }

func (n *notifier) send(state string) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("systemd's notify socket", slog.String("error", err.Error()))
	}
}

func (n *notifier) ready(status string) { n.send(daemon.SdNotifyReady + "\nSTATUS=" + status) }

func (n *notifier) stopping(status string) { n.send(daemon.SdNotifyStopping + "\nSTATUS=" + status) }

// patience asks systemd for more time while uploads drain.
func (n *notifier) patience(d time.Duration, status string) {
	n.send("EXTEND_TIMEOUT_USEC=" + microseconds(d) + "\nSTATUS=" + status)
}

// watch feeds the watchdog as long as the mount answers through the kernel. close ends it.
func (n *notifier) watch(ctx context.Context, dir string) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("systemd's watchdog", slog.String("error", err.Error()))
	}
	if every <= 0 {
		return
	}
	ctx, n.stop = context.WithCancel(ctx)
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		tick := time.NewTicker(every / 3)
		defer tick.Stop()
		for {
			var st unix.Statfs_t
			if unix.Statfs(dir, &st) == nil { // hangs when we hang: then nothing is sent
				n.send(daemon.SdNotifyWatchdog)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// close ends the watchdog's goroutine.
func (n *notifier) close() {
	n.stop()
	n.work.Wait()
}
