package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// logSink is where log lines go. It is safe for concurrent use.
type logSink struct {
	mu   sync.Mutex
	name string // "": standard error
	file *os.File
	size int64
	most int64 // bytes after which the file is renamed to NAME.old; 0: never
}

// openLog opens a log file for appending, or takes standard error when name is empty.
func openLog(name string, most int64) (*logSink, error) {
	s := &logSink{name: name, most: most}
	if name == "" {
		s.file = os.Stderr
		return s, nil
	}
	return s, s.reopen()
}

// reopen makes log rotation work: the next line goes to the file that has the name now.
func (s *logSink) reopen() error {
	if s.name == "" {
		return nil
	}
	f, err := os.OpenFile(s.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.size = f, st.Size()
	return nil
}

// Write appends one line.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	full := s.most > 0 && s.size >= s.most
	s.mu.Unlock()
	if full && os.Rename(s.name, s.name+".old") == nil {
		if err := s.reopen(); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.file.Write(line)
	s.size += int64(n)
	return n, err
}

// adopt makes the file this process's standard output and error too: what the Go runtime says
// when it dies must not be lost.
func (s *logSink) adopt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(s.file.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}

func levelOf(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// newLogger makes the log. With journal, each line begins with a priority for systemd-journald
// and has no time of its own.
func newLogger(w io.Writer, level slog.Leveler, format string, journal bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	form := func(w io.Writer) slog.Handler {
		if format == "json" {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	}
	if !journal {
		return slog.New(form(w))
	}
	options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	p := &prefixer{out: w}
	return slog.New(&journalHandler{form(p), p})
}

// prefixer puts the priority of the record before its line.
type prefixer struct {
	mu     sync.Mutex // held from the choice of the prefix to the end of the line
	prefix string
	out    io.Writer
}

func (p *prefixer) Write(line []byte) (int, error) {
	if _, err := p.out.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

type journalHandler struct {
	slog.Handler
	p *prefixer
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.prefix = priority(r.Level)
	return h.Handler.Handle(ctx, r)
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(attrs), h.p}
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.p}
}

// priority is sd-daemon(3)'s prefix.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	default:
		return "<7>"
	}
}

// toJournal reports whether file is the stream that systemd made for the journal.
func toJournal(file *os.File) bool {
	var device, inode uint64
	if n, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil || n != 2 {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(int(file.Fd()), &st) == nil && st.Dev == device && st.Ino == inode
}

// backgroundLog is the log file of a mount in the background that was given none.
func backgroundLog(state, mountpoint string) string {
	name := strings.Trim(strings.ReplaceAll(mountpoint, "/", "-"), "-")
	const longest = 200
	if name == "" || len(name) > longest {
		name = (scope{Bucket: mountpoint}).id()
	}
	return filepath.Join(state, "log", name+".log")
}
