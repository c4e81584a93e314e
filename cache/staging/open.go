package staging

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"time"

	"github.com/objmount/objmount/backend"
)

// Open takes a staging directory, which one process can hold at a time (KindOther says who does), and
// recovers what an earlier one left. It starts one goroutine that Close ends.
func Open(cfg Config) (*Area, error) {
	return open(cfg, tuning{every: syncEvery, ids: clockIDs})
}

// tuning is what tests set.
type tuning struct {
	every time.Duration // how long a record may wait for its sync
	ids   func() uint64 // numbers for files and intents, not used before
	space *limiter      // nil: one of its own
}

func open(cfg Config, tune tuning) (*Area, error) {
	if cfg.Disk == nil {
		cfg.Disk = machineDisk()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if tune.space == nil {
		tune.space = &limiter{limit: cfg.Limit}
	}
	a := &Area{
		dir: cfg.Dir, dataDir: path.Join(cfg.Dir, "data"), quarantineDir: path.Join(cfg.Dir, "quarantine"),
		disk: cfg.Disk, log: cfg.Log, handles: newHandles(cfg.Disk, cmp.Or(cfg.OpenFiles, maxOpenFiles)),
		tune: tune, space: tune.space, files: make(map[uint64]*File), intents: make(map[uint64]Intent),
	}
	a.journal = newJournal(cfg.Disk, cfg.Dir)
	a.committer = newCommitter(a, tune.every)
	for _, dir := range []string{a.dir, a.dataDir, a.quarantineDir} {
		if err := a.disk.MkdirAll(dir); err != nil {
			return nil, diskError("open staging", backend.ObjectID{}, err)
		}
	}
	holder := fmt.Sprintf("process %d since %s", os.Getpid(), time.Now().Format(time.DateTime))
	lock, err := a.disk.Lock(path.Join(a.dir, "lock"), holder)
	if err != nil {
		var locked *LockedError
		if errors.As(err, &locked) {
			return nil, &backend.Error{Kind: backend.KindOther, Op: "open staging", Message: locked.Error(), Err: err}
		}
		return nil, diskError("open staging", backend.ObjectID{}, err)
	}
	a.lock = lock
	if err := a.recover(); err != nil {
		a.uncount()
		return nil, errors.Join(diskError("open staging", backend.ObjectID{}, err), a.release())
	}
	a.space.join(a.committer)
	go a.committer.loop()
	a.committer.wakeUp()
	return a, nil
}
