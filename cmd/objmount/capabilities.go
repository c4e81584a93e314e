package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	capabilityAge   = 30 * 24 * time.Hour
	capabilityRetry = time.Minute
	probeTimeout    = 2 * time.Minute
	// probeVersion changes when the probes learn something new; what was remembered before is
	// asked again then.
	probeVersion = 2
)

// capabilities answers what the store can do with a bucket: from memory, else from the state
// directory, else by asking the store. It is safe for concurrent use; callers that need the
// same bucket share one question, and no lock is held while it is asked.
type capabilities struct {
	prober   backend.Prober
	endpoint string
	prefix   string
	dir      string
	vendor   string // what the configuration says that the store is; empty: it is found out
	probe    bool   // false: a read-only mount changes nothing, not even a scratch key
	log      *slog.Logger
	now      func() time.Time

	mu      sync.Mutex
	buckets map[string]*capabilityEntry
}

type capabilityEntry struct {
	ready chan struct{} // closed when value is set
	value backend.Capabilities
	until time.Time // a failure is tried again after it; zero: good
}

// capabilityNote is a file of the state directory.
type capabilityNote struct {
	scope
	Version      int                  `json:"version"`
	Vendor       string               `json:"vendor,omitempty"` // as the configuration said
	Probed       time.Time            `json:"probed"`
	Capabilities backend.Capabilities `json:"capabilities"`
}

func newCapabilities(prober backend.Prober, endpoint, prefix, state string, probe bool, log *slog.Logger) *capabilities {
	return &capabilities{
		prober: prober, endpoint: endpoint, prefix: prefix, dir: filepath.Join(state, "capabilities"), probe: probe, log: log,
		now: time.Now, buckets: map[string]*capabilityEntry{},
	}
}

// ask answers for one bucket. While the store cannot be asked, nothing is assumed: the fallbacks
// work everywhere.
func (c *capabilities) ask(ctx context.Context, bucket string) backend.Capabilities {
	c.mu.Lock()
	e := c.buckets[bucket]
	if e != nil {
		select {
		case <-e.ready:
			if e.until.IsZero() || c.now().Before(e.until) {
				c.mu.Unlock()
				return e.value
			}
		default:
			c.mu.Unlock()
			<-e.ready
			return e.value
		}
	}
	e = &capabilityEntry{ready: make(chan struct{})}
	c.buckets[bucket] = e
	c.mu.Unlock()

	value, err := c.find(ctx, bucket)
	if err != nil {
		c.log.Warn("the store's abilities are not known yet; using none of them", slog.String("bucket", bucket), slog.String("error", err.Error()))
		value = backend.Capabilities{Vendor: "unknown"}
		e.until = c.now().Add(capabilityRetry)
	}
	if value.Limits == (backend.Limits{}) {
		value.Limits = backend.S3Limits()
	}
	e.value = value
	close(e.ready)
	return value
}

// find reads what is remembered, or asks.
func (c *capabilities) find(ctx context.Context, bucket string) (backend.Capabilities, error) {
	sc := scope{c.endpoint, bucket, c.prefix}
	name := filepath.Join(c.dir, sc.id()+".json")
	if note, ok := c.recall(name, sc); ok {
		return note.Capabilities, nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	found, err := c.prober.Capabilities(ctx, bucket, c.prefix, c.probe)
	if err != nil {
		return found, err
	}
	if !c.probe {
		return found, nil // not the whole truth: not worth remembering
	}
	note := capabilityNote{scope: sc, Version: probeVersion, Vendor: c.vendor, Probed: c.now().UTC().Truncate(time.Second), Capabilities: found}
	err = os.MkdirAll(c.dir, 0o700)
	if err == nil {
		err = writeJSON(name, note)
	}
	if err != nil {
		c.log.Warn("the store's abilities cannot be remembered", slog.String("error", err.Error()))
	}
	return found, nil
}

// recall reads a file; one that is damaged, old or of another scope counts as missing.
func (c *capabilities) recall(name string, want scope) (capabilityNote, bool) {
	text, err := os.ReadFile(name)
	if err != nil {
		return capabilityNote{}, false
	}
	var n capabilityNote
	if err := json.Unmarshal(text, &n); err != nil {
		c.log.Info("asking the store for its abilities again", slog.String("file", name), slog.String("reason", err.Error()))
		return n, false
	}
	age := c.now().Sub(n.Probed)
	return n, n.scope == want && n.Version == probeVersion && n.Vendor == c.vendor && age >= 0 && age < capabilityAge
}

// unguarded says in words which promises the store does not enforce, so that another client
// that writes at the same moment may be overwritten.
func unguarded(c backend.Capabilities) []string {
	out := []string{}
	for _, row := range []struct {
		has  bool
		text string
	}{
		{c.PutIfNoneMatch, "creating a file: an object that another client stores at the same moment may be overwritten"},
		{c.PutIfMatch, "changing a file: a version that another client stores at the same moment may be overwritten"},
		{c.CompleteIfMatch && c.CompleteIfNoneMatch, "storing a large file: an object that another client stores at the same moment may be overwritten"},
		{c.CopySourceIfMatch, "copying inside the store: checked before and after, not during"},
		{c.CopyDestination, "rename, cp, chmod, which copy inside the store: an object that another client stores under that name at the same moment may be overwritten"},
		{c.DeleteIfMatch, "unlink, rename: a version that another client stores under the old name at the same moment may be deleted"},
		{c.GetIfMatch, "reading: pinned by checking each answer, not by the store"},
		{c.ChecksumCRC64, "uploads: checksums are compared by objmount where possible, not verified by the store"},
	} {
		if !row.has {
			out = append(out, row.text)
		}
	}
	return out
}
