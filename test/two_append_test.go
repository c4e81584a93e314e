package test

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// A logbook is a file to which programs of both mounts append records.
type logbook struct {
	key   string
	base  []byte // what it begins with
	alone bool   // one program of a mount at a time

	mu      sync.Mutex
	records []*update
}

// appendSome opens a logbook, appends a few records, and notes which of them are stored.
func (c *contest) appendSome(r *rival, l *logbook) {
	if l.alone {
		lock := c.local[r.m][l.key]
		lock.Lock()
		defer lock.Unlock()
	}
	f, err := os.OpenFile(r.m.in(l.key), os.O_WRONLY|os.O_APPEND, 0)
	if c.passes("open", &ledger{key: l.key}, err) {
		return
	}
	defer f.Close()
	var written []*update
	settle := func(call string, err error, good string) bool {
		what := good
		if c.passes(call, &ledger{key: l.key}, err) {
			what = isLost
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, u := range written {
			u.what = what
		}
		written = nil
		return what == good
	}
	for range 1 + r.rng.IntN(3) {
		u := &update{token: lastToken.Add(1), by: r, what: isRefused}
		l.mu.Lock()
		l.records = append(l.records, u)
		l.mu.Unlock()
		if _, err := f.Write(cargo{token: u.token}.seal()); c.passes("write", &ledger{key: l.key}, err) {
			if len(written) > 0 { // written before, and now the file is lost
				settle("fsync", syscall.ESTALE, isStored)
			}
			return
		}
		written = append(written, u)
		if r.rng.IntN(2) == 0 && !settle("fsync", f.Sync(), isStored) {
			return
		}
	}
	good := isStored
	if r.background {
		good = isPending
	}
	settle("close", f.Close(), good)
}

// judge compares a logbook's end with what its writers were told.
func (l *logbook) judge(data []byte, kept func(*rival, string) map[uint64]bool) []string {
	if !bytes.HasPrefix(data, l.base) {
		return []string{fmt.Sprintf("%s: its beginning has changed: %s", l.key, firstDifference(data[:min(len(data), len(l.base))], l.base))}
	}
	var problems []string
	times := map[uint64]int{}
	for rest := data[len(l.base):]; len(rest) > 0; {
		c, err := cargoOf(rest)
		if err != nil || len(rest) < sealSize || !bytes.Equal(rest[:sealSize], c.seal()) {
			return append(problems, fmt.Sprintf("%s: at %d is no record: %v", l.key, len(data)-len(rest), err))
		}
		times[c.token]++
		rest = rest[sealSize:]
	}
	for _, u := range l.records {
		n, isKept := times[u.token], kept(u.by, l.key)[u.token]
		delete(times, u.token)
		good := n <= 1
		switch u.what {
		case isStored:
			good = n == 1
		case isRefused:
			good = n == 0
		case isPending:
			good = good && (n == 1 || isKept)
		case isLost: // where several write one open file, a record may have been stored with another one's before
			good = good && (isKept && n == 0 || n == 1 && !l.alone)
		}
		if !good {
			problems = append(problems, fmt.Sprintf("%s: record %x of %s is %s; it is there %d times, kept: %v", l.key, u.token, u.by.name, u.what, n, isKept))
		}
	}
	for token := range times {
		problems = append(problems, fmt.Sprintf("%s: record %x was appended by nobody", l.key, token))
	}
	return problems
}
