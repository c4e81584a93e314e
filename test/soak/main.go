package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// options are the flags.
type options struct {
	time     time.Duration
	only     *regexp.Regexp
	parallel int
	findings string
	list     bool
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "soak:", err)
		}
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.DurationVar(&o.time, "time", time.Hour, "how long to look for trouble; runs under way may take a tenth longer, or a minute")
	only := f.String("only", "", "regular expression for the names of campaigns")
	f.IntVar(&o.parallel, "parallel", 3, "campaigns side by side; there are always others waiting for their turn")
	f.StringVar(&o.findings, "findings", "soak-findings", "directory for the output of runs that failed")
	f.BoolVar(&o.list, "list", false, "list the campaigns and end")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag; see -help", f.Arg(0))
	}
	if o.time <= 0 || o.parallel < 1 {
		return o, errors.New("-time and -parallel have to be more than 0")
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	o.findings, err = filepath.Abs(o.findings)
	return o, err
}

func run(o options) error {
	var chosen []*runner
	for _, c := range campaigns {
		if o.only.MatchString(c.name) {
			chosen = append(chosen, &runner{campaign: c, findings: o.findings})
		}
	}
	if len(chosen) == 0 {
		return errors.New("-only matches no campaign; -list shows them")
	}
	if o.list {
		for _, r := range chosen {
			fmt.Printf("%-12s %s\n", r.name, r.whatFor)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(chosen, dir); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	began := time.Now()
	end := began.Add(o.time)
	limited, cancel := context.WithDeadline(ctx, end.Add(overrun(o.time)))
	defer cancel()
	work(limited, chosen, o.parallel, end, overrun(o.time))
	if err := tidy(os.Getenv("OBJMOUNT_TEST_RUN")); err != nil {
		return err
	}
	return report(os.Stdout, chosen, time.Since(began), o.findings)
}

// overrun is how long runs may go on when the time is over; then they are cut.
func overrun(whole time.Duration) time.Duration { return max(whole/10, time.Minute) }

// build makes a test binary of each package, under the race detector.
func build(chosen []*runner, dir string) error {
	built := map[string]string{}
	for _, r := range chosen {
		binary := built[r.folder]
		if binary == "" {
			binary = filepath.Join(dir, filepath.Base(r.folder)+".test")
			fmt.Fprintf(os.Stderr, "soak: building the tests of %s\n", r.folder)
			cmd := exec.Command("go", "test", "-race", "-c", "-o", binary, "./"+r.folder)
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("building the tests of %s: %w", r.folder, err)
			}
			built[r.folder] = binary
		}
		r.binary, r.scratch = binary, dir
	}
	return nil
}

// work gives each campaign its turns until the time is over: the one that ran least goes next, if it can be done by end and over. The end of ctx cuts runs under way.
func work(ctx context.Context, all []*runner, parallel int, end time.Time, over time.Duration) {
	var mu sync.Mutex
	next := func() *runner {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if ctx.Err() != nil || now.After(end) {
			return nil
		}
		var least *runner
		for _, r := range all {
			if !r.busy && now.Add(r.usual()).Before(end.Add(over)) && (least == nil || r.spent < least.spent) {
				least = r
			}
		}
		if least != nil {
			least.busy = true
		}
		return least
	}
	var group sync.WaitGroup
	for range min(parallel, len(all)) {
		group.Go(func() {
			for r := next(); r != nil; r = next() {
				began := time.Now()
				did, finding := r.once(ctx)
				mu.Lock()
				r.busy = false
				r.spent += time.Since(began)
				if ctx.Err() == nil {
					r.runs++
				} else {
					r.cut = true
				}
				r.add(did, finding)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}
