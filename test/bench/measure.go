package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is one measurement under way.
type bench struct {
	ctx      context.Context
	settings settings
	server   *server
	endpoint string
	dir      string
	latency  time.Duration
	first    bool // the first repetition

	bucket, folder string // the bucket and where the server keeps it
	mount          string // mountpoint; empty for the bare client
	kept           keeper // what was read
}

// measure prepares a bucket, mounts it with a client, does the row's work once, and looks whether it is right.
func (b *bench) measure(client string, r row) (res result) {
	if err := settle(b.dir); err != nil {
		return result{err: err}
	}
	var err error
	if b.bucket, b.folder, err = b.server.newBucket(b.ctx); err != nil {
		return result{err: err}
	}
	defer func() { res.err = errors.Join(res.err, os.RemoveAll(b.folder)) }()
	if r.prepare != nil {
		if err := r.prepare(b); err != nil {
			return result{err: err}
		}
	}
	if r.keeps > 0 {
		b.kept = newKeeper(r.keeps)
	}
	if client == "bare" {
		b.server.takeRequests()
		start := time.Now()
		err := r.bare(b)
		res = result{time: time.Since(start), err: err}
		b.report(client, r, res)
		return b.judge(r, res)
	}
	m, err := b.start(client)
	if err != nil {
		return result{err: err}
	}
	res = b.timed(m, client, r)
	stopKilling := m.killAfter(b.ctx, b.settings.limit)
	res = b.judge(r, res)
	stopKilling()
	res.err = errors.Join(res.err, m.stop())
	return res
}

// timed does a row's work through a mount.
func (b *bench) timed(m *mounted, client string, r row) result {
	profiled := b.settings.profile != "" && strings.HasPrefix(client, "objmount")
	stopKilling := m.killAfter(b.ctx, b.settings.limit)
	b.server.takeRequests()
	if profiled {
		_ = m.cmd.Process.Signal(syscall.SIGUSR2)
		time.Sleep(100 * time.Millisecond) // the profiler starts
	}
	cpu, start := m.cpu(), time.Now()
	err := r.work(b)
	if err == nil && r.stored != nil {
		err = b.until(r.stored)
	}
	res := result{time: time.Since(start), cpu: m.cpu() - cpu, peak: m.peakMemory()}
	if profiled {
		_ = m.cmd.Process.Signal(syscall.SIGUSR2)
		time.Sleep(500 * time.Millisecond) // it writes
		name := strings.ReplaceAll(fmt.Sprintf("%s-%v.cpu", r.name, b.latency), " ", "-")
		err = errors.Join(err, os.Rename(filepath.Join(m.state, "cpu"), filepath.Join(b.settings.profile, name)))
	}
	if stopKilling() {
		err = fmt.Errorf("ended after %v: %w", b.settings.limit, err)
	}
	res.err = err
	b.report(client, r, res)
	return res
}

// judge adds an error if what was read or written is wrong.
func (b *bench) judge(r row, res result) result {
	if res.err == nil && r.verify != nil {
		if err := r.verify(b); err != nil {
			res.err = fmt.Errorf("wrong result: %w", err)
		}
	}
	return res
}

// report prints one measurement, where requests are counted.
func (b *bench) report(client string, r row, res result) {
	if b.settings.requests {
		fmt.Fprintf(os.Stderr, "%s +%v %s: %.2f s, %.2f cpu, %s\n", r.name, b.latency, client,
			res.time.Seconds(), res.cpu.Seconds(), b.server.takeRequests())
	}
}

// until waits for the store to hold what was written. Looking must not cost what is being
// measured: a twentieth of the time at most.
func (b *bench) until(stored func(b *bench) bool) error {
	for deadline := time.Now().Add(b.settings.limit); ; {
		start := time.Now()
		if stored(b) {
			return nil
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			return errors.New("what was written did not get to the store")
		}
		time.Sleep(min(max(2*time.Millisecond, 20*time.Since(start)), time.Second))
	}
}
