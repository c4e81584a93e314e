package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settings are the command line.
type settings struct {
	objmount, tools      string
	scale                float64
	repeat               int
	budget, limit, total time.Duration
	latencies            []time.Duration
	clients              []string
	only                 *regexp.Regexp
	profile              string // where profiles of objmount go; empty: none
	requests             bool
}

func main() {
	s, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (settings, error) {
	s := settings{tools: os.Getenv("OBJMOUNT_TOOLS"), scale: 1}
	if v := os.Getenv("BENCH_SCALE"); v != "" {
		scale, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return s, fmt.Errorf("BENCH_SCALE: %w", err)
		}
		s.scale = scale
	}
	var latencies, clients, only string
	flag.StringVar(&s.objmount, "objmount", "bin/objmount", "the `binary` to measure")
	flag.Float64Var(&s.scale, "scale", s.scale, "size of the work, 1 is full; also BENCH_SCALE")
	flag.IntVar(&s.repeat, "repeat", 3, "measurements of each cell; the median is printed")
	flag.DurationVar(&s.budget, "budget", time.Minute, "no further repetition of a cell that has taken this long")
	flag.DurationVar(&s.total, "total", 30*time.Minute, "no further repetition of any cell after so long")
	flag.DurationVar(&s.limit, "limit", 10*time.Minute, "a measurement that takes longer has failed")
	flag.StringVar(&latencies, "latency", "0,20ms", "added round-trip latencies")
	flag.StringVar(&clients, "clients", "bare,objmount,objmount-background,s3fs,rclone", "whom to measure, in this order")
	flag.StringVar(&only, "only", ".", "measure rows that match this `expression`")
	flag.StringVar(&s.profile, "profile", "", "write CPU profiles of objmount to this `directory`")
	flag.BoolVar(&s.requests, "requests", false, "print how many requests each measurement made")
	flag.Parse()
	for _, l := range strings.Split(latencies, ",") {
		d, err := time.ParseDuration(l)
		if err != nil {
			return s, err
		}
		s.latencies = append(s.latencies, d)
	}
	s.clients = strings.Split(clients, ",")
	for _, c := range s.clients {
		if c != "bare" && newClient[c] == nil {
			return s, fmt.Errorf("no client %q", c)
		}
	}
	if s.tools == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return s, err
		}
		s.tools = filepath.Join(cache, "objmount-tools")
	}
	var err error
	if s.only, err = regexp.Compile(only); err != nil {
		return s, err
	}
	s.objmount, err = filepath.Abs(s.objmount)
	return s, err
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.profile != "" {
		if s.objmount, err = buildProfiled(ctx, s.profile, dir); err != nil {
			return err
		}
	}
	server, err := startServer(ctx, s.tools, dir, s.requests)
	if err != nil {
		return err
	}
	defer server.stop()
	t := newTable(os.Stdout, s.clients)
	began := time.Now()
	for _, latency := range s.latencies {
		endpoint, closeProxy, err := delay(server.address, latency)
		if err != nil {
			return err
		}
		for _, row := range rows(s.scale) {
			if s.only.MatchString(row.name) {
				b := &bench{settings: s, server: server, endpoint: endpoint, dir: dir, latency: latency}
				b.fillLine(ctx, t.add(row.name, latency), row, began)
			}
			if ctx.Err() != nil {
				break
			}
		}
		closeProxy()
		if ctx.Err() != nil {
			break
		}
	}
	t.finish()
	return ctx.Err()
}

// fillLine measures a row with every client in turn, and again as often as the settings allow, and
// prints it.
func (b *bench) fillLine(ctx context.Context, l *line, r row, began time.Time) {
	s := b.settings
	for i := range s.repeat {
		for _, client := range s.clients {
			cell := l.cell(client)
			switch {
			case client == "objmount-background" && r.stored == nil: // as objmount
			case i > 0 && (cell.err != nil || cell.spent > s.budget || time.Since(began) > s.total):
			default:
				one := *b // a measurement's own
				one.ctx, one.first = ctx, i == 0
				if res := one.measure(client, r); ctx.Err() == nil { // what was interrupted says nothing
					cell.add(res)
				}
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	l.print()
}

// A result is one measurement.
type result struct {
	time, cpu time.Duration
	peak      int64 // bytes
	err       error
}

// A cell collects the measurements of one client and row.
type cell struct {
	results []result
	spent   time.Duration
	err     error // of the measurement that failed; there are no more after it
}

func (c *cell) add(r result) {
	c.spent += r.time
	if r.err != nil {
		c.err = r.err
		return
	}
	c.results = append(c.results, r)
}

// median of the measurements by time; false when there is none, or one failed.
func (c *cell) median() (result, bool) {
	if c == nil || c.err != nil || len(c.results) == 0 {
		return result{}, false
	}
	sorted := slices.Clone(c.results)
	slices.SortFunc(sorted, func(a, b result) int { return int(a.time - b.time) })
	return sorted[(len(sorted)-1)/2], true
}

// settle makes the disk idle: what earlier measurements wrote must not be written during this one.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
