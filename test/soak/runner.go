package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	runs  int // that were finished
	cut   bool
	sum   tally
	found []finding
}

// finding is a run that failed.
type finding struct {
	file  string   // with the output
	tests []string // that failed
}

// usual is how long a run takes.
func (r *runner) usual() time.Duration {
	if r.runs == 0 {
		return 0
	}
	return r.spent / time.Duration(r.runs)
}

func (r *runner) add(did tally, f *finding) {
	r.sum.Rounds += did.Rounds
	r.sum.Operations += did.Operations
	r.sum.Faults += did.Faults
	if f != nil {
		r.found = append(r.found, *f)
	}
}

// once runs the campaign's tests. The finding is nil unless they failed. When ctx ends they are cut: that is no failure, and what they told
// before it counts.
func (r *runner) once(ctx context.Context) (tally, *finding) {
	told := filepath.Join(r.scratch, fmt.Sprintf("report-%s-%d", strings.ReplaceAll(r.name, " ", "-"), r.runs))
	args := append([]string{"-test.run", r.run, "-test.count=1", "-test.timeout=1h"}, r.flags...)
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir = r.folder // as go test does
	cmd.Env = append(append(os.Environ(), "OBJMOUNT_TEST_REPORT="+told), r.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	did := readTally(told)
	failed := failures(output.Bytes())
	if ctx.Err() != nil && len(failed) == 0 {
		fmt.Fprintf(os.Stderr, "soak: %s: %d rounds, and cut\n", r.name, did.Rounds)
		return did, nil
	}
	if did == (tally{}) {
		did.Rounds = int64(max(r.rounds, 1))
	}
	var found *finding
	verdict := "ok"
	if err != nil || bytes.Contains(output.Bytes(), []byte("no tests to run")) {
		found = &finding{r.keep(&output, err), failed}
		verdict = "FAILED, see " + found.file
	}
	fmt.Fprintf(os.Stderr, "soak: %s: %d rounds, %s\n", r.name, did.Rounds, verdict)
	return did, found
}

// failures are the tests that failed: of those with subtests only the latter.
func failures(output []byte) []string {
	var failed []string
	for _, m := range regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`).FindAllSubmatch(output, -1) {
		name := string(m[1])
		failed = slices.DeleteFunc(failed, func(above string) bool { return strings.HasPrefix(name, above+"/") })
		failed = append(failed, name)
	}
	return failed
}

// keep writes the output of a failed run where it can be looked at.
func (r *runner) keep(output *bytes.Buffer, err error) string {
	if merr := os.MkdirAll(r.findings, 0o755); merr != nil {
		return merr.Error()
	}
	name := filepath.Join(r.findings, fmt.Sprintf("%s-%s.log", strings.ReplaceAll(r.name, " ", "-"), time.Now().UTC().Format("20060102T150405.000")))
	again := slices.Concat(r.env, []string{"go test -race -count=1 -run", "'" + r.run + "'", "./" + r.folder}, r.flags)
	fmt.Fprintf(output, "\nsoak: %s: %v\nsoak: the same tests, with other seeds unless one that is above is given: %s\n", r.name, err, strings.Join(again, " "))
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

// report prints the table, and what was found. Findings are an error, and so is a campaign that had no time.
func report(out io.Writer, all []*runner, took time.Duration, where string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "campaign\truns\trounds\toperations\tfaults injected\tfindings\ttime\t")
	sum := runner{campaign: campaign{name: "together"}}
	var cut, none []string
	for _, r := range all {
		r.row(w)
		sum.runs += r.runs
		sum.spent += r.spent
		sum.add(r.sum, nil)
		sum.found = append(sum.found, r.found...)
		if r.cut {
			cut = append(cut, r.name)
		}
		if r.runs == 0 && r.sum.Rounds == 0 {
			none = append(none, r.name)
		}
	}
	sum.row(w)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "in %s\n", took.Round(time.Second))
	if len(cut) > 0 {
		fmt.Fprintf(out, "cut at the end, rounds that were told before it are counted: %s\n", strings.Join(cut, ", "))
	}
	for _, f := range sum.found {
		fmt.Fprintf(out, "finding: %s: %s\n", f.file, strings.Join(f.tests, ", "))
	}
	switch {
	case len(sum.found) == 1:
		return errors.New("1 finding; its output is in " + where)
	case len(sum.found) > 0:
		return fmt.Errorf("%d findings; the output of each is in %s", len(sum.found), where)
	case len(none) > 0:
		return fmt.Errorf("no time was left for %s", strings.Join(none, ", "))
	}
	return nil
}

func (r *runner) row(w io.Writer) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t%s\t\n", r.name, r.runs, r.sum.Rounds, orDash(r.sum.Operations), orDash(r.sum.Faults), len(r.found), r.spent.Round(time.Second))
}

// tidy removes what runs that were cut have left below the directory of this run, which is nobody else's: mounts and files. Their
// processes have ended with them.
func tidy(dir string) error {
	if dir == "" {
		return nil
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(string(mounts), "\n")
	slices.Reverse(lines) // what is mounted last goes first
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			_ = unix.Unmount(fields[1], unix.MNT_DETACH) // run.sh says what is left
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "t[0-9]*")) // as the tests name theirs
	for _, name := range left {
		_ = os.RemoveAll(name)
	}
	return err
}

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
