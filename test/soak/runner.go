package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// tally is what a run did. Its JSON is what a test writes into the file of OBJMOUNT_TEST_REPORT.
type tally struct {
	Rounds     int64 `json:"rounds"`
	Operations int64 `json:"operations"`
	Faults     int64 `json:"faults"`
}

// runner is a campaign and what came of it. What changes is guarded by the mutex of work.
type runner struct {
	campaign
	binary, scratch, findings string

	busy  bool
	spent time.Duration
	runs  int
	sum   tally
	found []string // files with the output of runs that failed
}

func (r *runner) add(did tally, finding string) {
	r.sum.Rounds += did.Rounds
	r.sum.Operations += did.Operations
	r.sum.Faults += did.Faults
	if finding != "" {
		r.found = append(r.found, finding)
	}
}

// once runs the campaign's tests, and returns where the output is when they failed.
func (r *runner) once(ctx context.Context) (did tally, finding string) {
	told := filepath.Join(r.scratch, fmt.Sprintf("report-%s-%d", strings.ReplaceAll(r.name, " ", "-"), r.runs))
	args := append([]string{"-test.run", r.run, "-test.count=1", "-test.timeout=1h"}, r.flags...)
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir = r.folder // as go test does
	cmd.Env = append(append(os.Environ(), "OBJMOUNT_TEST_REPORT="+told), r.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = time.Minute
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if ctx.Err() != nil {
		return tally{}, ""
	}
	did = readTally(told)
	if did == (tally{}) {
		did.Rounds = int64(max(r.rounds, 1))
	}
	verdict := "ok"
	if err != nil || bytes.Contains(output.Bytes(), []byte("no tests to run")) {
		finding = r.keep(&output, err)
		verdict = "FAILED, see " + finding
	}
	fmt.Fprintf(os.Stderr, "soak: %s: %d rounds, %s\n", r.name, did.Rounds, verdict)
	return did, finding
}

// keep writes the output of a failed run where it can be looked at.
func (r *runner) keep(output *bytes.Buffer, err error) string {
	if merr := os.MkdirAll(r.findings, 0o755); merr != nil {
		return merr.Error()
	}
	name := filepath.Join(r.findings, fmt.Sprintf("%s-%s.log", strings.ReplaceAll(r.name, " ", "-"), time.Now().UTC().Format("20060102T150405.000")))
	fmt.Fprintf(output, "\nsoak: %s: %v\n", r.name, err)
	if werr := os.WriteFile(name, output.Bytes(), 0o644); werr != nil {
		return werr.Error()
	}
	return name
}

func readTally(name string) tally {
	defer os.Remove(name)
	var sum tally
	f, err := os.Open(name)
	if err != nil {
		return sum
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var t tally
		if json.Unmarshal(lines.Bytes(), &t) == nil {
			sum.Rounds += t.Rounds
			sum.Operations += t.Operations
			sum.Faults += t.Faults
		}
	}
	return sum
}

// report prints the table. Findings are an error.
func report(all []*runner, took time.Duration, where string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "campaign\truns\trounds\toperations\tfaults injected\tfindings\ttime\t")
	findings := 0
	for _, r := range all {
		findings += len(r.found)
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t%s\t\n", r.name, r.runs, r.sum.Rounds, orDash(r.sum.Operations), orDash(r.sum.Faults), len(r.found), r.spent.Round(time.Second))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("in %s\n", took.Round(time.Second))
	if findings > 0 {
		return fmt.Errorf("%d findings; the output of each is in %s", findings, where)
	}
	return nil
}

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
