package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLogForms(t *testing.T) {
	t.Parallel()
	var text, asJSON bytes.Buffer
	newLogger(&text, slog.LevelWarn, "text", false).Info("hidden")
	newLogger(&text, slog.LevelWarn, "text", false).Warn("shown", "key", "a b")
	if got := text.String(); !strings.HasPrefix(got, "time=") || !strings.Contains(got, `level=WARN msg=shown key="a b"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
	newLogger(&asJSON, slog.LevelDebug, "json", false).Debug("shown", "n", 7)
	var line map[string]any
	if err := json.Unmarshal(asJSON.Bytes(), &line); err != nil || line["msg"] != "shown" || line["n"] != 7.0 || line["time"] == nil {
		t.Errorf("%v: %v", err, line)
	}
}

// TestJournalPriorities: each line has the priority of its own record, also when many write.
func TestJournalPriorities(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLogger(&out, slog.LevelDebug, "text", true)
	levels := map[slog.Level]string{slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>"}
	var all sync.WaitGroup
	for level := range levels {
		all.Go(func() {
			for range 100 {
				log.With("a", 1).WithGroup("g").Log(context.Background(), level, "x", "b", 2)
			}
		})
	}
	all.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 400 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		name := line[len("<7>level="):strings.Index(line, " ")]
		var level slog.Level
		if err := level.UnmarshalText([]byte(name)); err != nil || !strings.HasPrefix(line, levels[level]) || !strings.HasSuffix(line, "msg=x a=1 g.b=2") {
			t.Fatalf("%v: %q", err, line)
		}
	}
}

func TestLogFileIsReopened(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log")
	sink, err := openLog(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.file.Close()
	write := func(s string) {
		if _, err := sink.Write([]byte(s + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	write("two")
	if err := sink.reopen(); err != nil {
		t.Fatal(err)
	}
	write("three")
	for file, want := range map[string]string{name: "three\n", name + ".1": "one\ntwo\n"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s has %q (%v)", file, got, err)
		}
	}
}

func TestLogFileIsBounded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log")
	sink, err := openLog(name, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { sink.file.Close() }()
	for i := range 100 {
		if _, err := fmt.Fprintf(sink, "line %04d %s\n", i, strings.Repeat("x", 89)); err != nil {
			t.Fatal(err)
		}
	}
	var sum int64
	for _, file := range []string{name, name + ".old"} {
		st, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		sum += st.Size()
	}
	if sum > 2200 || sum < 1000 {
		t.Errorf("the log has %d bytes", sum)
	}
	last, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(last), "line 0099") {
		t.Errorf("the last line is gone: %q (%v)", last, err)
	}
}

func TestToJournal(t *testing.T) {
	var st unix.Stat_t
	if err := unix.Fstat(int(os.Stderr.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{"": false, "1": false, "0:0": false, fmt.Sprintf("%d:%d", st.Dev, st.Ino): true, fmt.Sprintf("%d:%d", st.Dev, st.Ino+1): false} {
		t.Setenv("JOURNAL_STREAM", value)
		if got := toJournal(os.Stderr); got != want {
			t.Errorf("JOURNAL_STREAM=%s: %v", value, got)
		}
	}
}

func TestBackgroundLogNames(t *testing.T) {
	t.Parallel()
	for mountpoint, want := range map[string]string{"/mnt/data": "/s/log/mnt-data.log", "/mnt/a b": "/s/log/mnt-a b.log"} {
		if got := backgroundLog("/s", mountpoint); got != want {
			t.Errorf("%s: %s, want %s", mountpoint, got, want)
		}
	}
	for _, mountpoint := range []string{"/", "/" + strings.Repeat("x", 300)} {
		if got := filepath.Base(backgroundLog("/s", mountpoint)); len(got) > 100 || got == ".log" {
			t.Errorf("%s: %s", mountpoint, got)
		}
	}
}
