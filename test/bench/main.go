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
)

// settings are the command line.
type settings struct {
	objmount, tools string
	scale           float64
	repeat          int
	budget, limit   time.Duration
	latencies       []time.Duration
	clients         []string
	only            *regexp.Regexp
}

func main() {
	s, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	flag.DurationVar(&s.budget, "budget", 2*time.Minute, "no further repetition of a cell that has taken this long")
	flag.DurationVar(&s.limit, "limit", 15*time.Minute, "a measurement that takes longer has failed")
	flag.StringVar(&latencies, "latency", "0,20ms", "added round-trip latencies")
	flag.StringVar(&clients, "clients", "bare,objmount,s3fs,rclone", "whom to measure, in this order")
	flag.StringVar(&only, "only", ".", "measure rows that match this `expression`")
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
	server, err := startServer(ctx, s.tools, dir)
	if err != nil {
		return err
	}
	defer server.stop()
	table := &table{clients: s.clients}
	for _, latency := range s.latencies {
		endpoint, closeProxy, err := delay(server.address, latency)
		if err != nil {
			return err
		}
		for _, row := range rows(s.scale) {
			if !s.only.MatchString(row.name) {
				continue
			}
			line := table.add(row.name, latency)
			for range s.repeat {
				for _, client := range s.clients { // in turn, so that a slow minute hits all
					cell := line.cell(client)
					if cell.spent > s.budget {
						continue
					}
					b := &bench{ctx: ctx, settings: s, server: server, endpoint: endpoint, dir: dir}
					cell.add(b.measure(client, row))
					if ctx.Err() != nil {
						closeProxy()
						return ctx.Err()
					}
				}
			}
			fmt.Fprintln(os.Stderr, line)
		}
		closeProxy()
	}
	return table.print(os.Stdout)
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
	err     error
}

func (c *cell) add(r result) {
	c.spent += r.time
	if r.err != nil {
		c.err = r.err
		c.spent += 1 << 60 // it would fail again
		return
	}
	c.results = append(c.results, r)
}

// median of the measurements by time; false when there is none.
func (c *cell) median() (result, bool) {
	if c == nil || len(c.results) == 0 {
		return result{}, false
	}
	sorted := slices.Clone(c.results)
	slices.SortFunc(sorted, func(a, b result) int { return int(a.time - b.time) })
	return sorted[len(sorted)/2], true
}
