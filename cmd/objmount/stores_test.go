package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestScopesOfSeveralStores: what one mount left is another's only if all of its stores are there, by name and address.
func TestScopesOfSeveralStores(t *testing.T) {
	t.Parallel()
	two := "all:a=host:1,b=host:2"
	for other, want := range map[string]bool{
		two:                              true,
		"all:a=host:1":                   true,
		"all:b=host:2":                   true,
		"all:a=host:1,b=host:2,c=host:3": false,
		"all:c=host:3":                   false,
		"all:a=host:2,b=host:1":          false, // exchanged
		"all:a=host:2":                   false, // moved
		"all:ab=host:1":                  false,
		"all:a=host:11":                  false,
		"all:":                           false,
		"host:1":                         false, // a mount of one store: its buckets have other names
		"a=host:1":                       false,
		"":                               false,
	} {
		if got := (scope{Endpoint: two}).covers(scope{Endpoint: other}); got != want {
			t.Errorf("%s covers %s: %v", two, other, got)
		}
		if other != two && (scope{Endpoint: two}).id() == (scope{Endpoint: other}).id() {
			t.Errorf("%s and %s have one directory", two, other)
		}
	}
	if (scope{Endpoint: "host:1"}).covers(scope{Endpoint: "all:a=host:1"}) {
		t.Error("one store covers several")
	}
}

// TestStrayedFilesAreTold: who looks for them finds where they are, and nobody is told about others.
func TestStrayedFilesAreTold(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	take := func(endpoint, mountpoint string) *slot {
		t.Helper()
		s, err := takeSlot(state, scope{Endpoint: endpoint}, source{remote: allRemotes}, mountpoint, "", quiet())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	leave := func(s *slot, files int) {
		t.Helper()
		if err := s.note(files); err != nil {
			t.Fatal(err)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
	stray := take("all:a=host:1,b=host:2", "/mnt")
	leave(stray, 3)
	leave(take("all:b=host:2", "/mnt"), 0)       // nothing in it
	leave(take("all:d=host:4", "/elsewhere"), 1) // another mount's
	leave(take("host:1", "/mnt"), 1)             // of one store
	now := take("all:a=host:9,b=host:2", "/mnt")
	var log bytes.Buffer
	found := now.orphans(slog.New(slog.NewTextHandler(&log, nil)))
	if text := log.String(); len(found) != 0 || strings.Count(text, "\n") != 1 || !strings.Contains(text, stray.dir) || !strings.Contains(text, "a=host:1,b=host:2") {
		t.Errorf("%v\n%s", found, text)
	}
	leave(now, 0)
	log.Reset()
	back := take("all:a=host:1,b=host:2", "/mnt")
	if back.dir != stray.dir || len(back.orphans(slog.New(slog.NewTextHandler(&log, nil)))) != 0 || log.Len() != 0 {
		t.Errorf("%s, not %s: %s", back.dir, stray.dir, &log)
	}
	leave(back, 0)
}
