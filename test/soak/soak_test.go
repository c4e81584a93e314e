package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake is a campaign whose tests are a shell script.
func fake(t *testing.T, name, script string) *runner {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "fake.test")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &runner{campaign: campaign{name: name, folder: dir, rounds: 7}, binary: binary, scratch: dir, findings: filepath.Join(dir, "findings")}
}

func TestRunsTellWhatTheyDid(t *testing.T) {
	t.Parallel()
	told := fake(t, "told much", `echo '{"rounds":2,"operations":30}' >"$OBJMOUNT_TEST_REPORT"; echo '{"rounds":1,"faults":4}' >>"$OBJMOUNT_TEST_REPORT"; echo torn >>"$OBJMOUNT_TEST_REPORT"`)
	if did, finding := told.once(context.Background()); did != (tally{3, 30, 4}) || finding != nil {
		t.Errorf("%+v, %q", did, finding)
	}
	silent := fake(t, "silent", "")
	if did, _ := silent.once(context.Background()); did != (tally{Rounds: 7}) {
		t.Errorf("%+v", did)
	}
}

// TestFindingsAreKept: a failed run's output is in a file; one that had no tests to run is a failure too.
func TestFindingsAreKept(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"bad luck": "echo the seed is 17; echo '--- FAIL: TestA (1s)'; echo '    --- FAIL: TestA/b (1s)'; exit 1", "renamed": `echo "testing: warning: no tests to run"`} {
		r := fake(t, name, script)
		r.run, r.flags, r.env = "TestA", []string{"-rapid.checks=3"}, []string{"A=1"}
		did, finding := r.once(context.Background())
		r.add(did, finding)
		if finding == nil || len(r.found) != 1 {
			t.Fatalf("%s: no finding", name)
		}
		text, err := os.ReadFile(finding.file)
		if err != nil || !bytes.Contains(text, []byte("A=1 go test -race -count=1 -run 'TestA' ./"+r.folder+" -rapid.checks=3\n")) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if name == "bad luck" && !bytes.Contains(text, []byte("the seed is 17")) {
			t.Errorf("kept %q", text)
		}
		r.runs = 1
		var out strings.Builder
		if err := report(&out, []*runner{r}, time.Second, r.findings); err == nil || !strings.Contains(err.Error(), "1 finding;") {
			t.Errorf("%s: report says %v", name, err)
		}
		if name == "bad luck" && !strings.Contains(out.String(), "finding: "+finding.file+": TestA/b\n") {
			t.Errorf("%s", &out)
		}
	}
}

// TestEveryCampaignHasATurn: before any has two. Without time there is none, which is said; a signal ends all.
func TestEveryCampaignHasATurn(t *testing.T) {
	t.Parallel()
	all := []*runner{fake(t, "a", "sleep 0.1"), fake(t, "b", "sleep 0.1"), fake(t, "c", "sleep 0.1")}
	ctx, stop := context.WithCancelCause(context.Background())
	work(ctx, all, 2, time.Now(), time.Minute)
	if err := report(io.Discard, all, time.Second, ""); err == nil || err.Error() != "no time was left for a, b, c" {
		t.Errorf("without time: %v", err)
	}
	work(ctx, all, 1, time.Now().Add(500*time.Millisecond), time.Minute)
	least, most := all[0].runs, all[0].runs
	for _, r := range all {
		least, most = min(least, r.runs), max(most, r.runs)
	}
	if least == 0 && most > 1 {
		t.Errorf("one had %d runs, another none", most)
	}
	stop(errors.New("a signal"))
	work(ctx, all, 2, time.Now().Add(time.Hour), time.Minute)
	if all[0].runs > most {
		t.Error("run after a signal")
	}
}

// TestRunsAreCut: one that goes on when the time is over is ended; it is no finding, what it told before counts, and what is expected to be cut
// is not begun.
func TestRunsAreCut(t *testing.T) {
	t.Parallel()
	slow := fake(t, "slow", `echo '{"rounds":2,"operations":30}' >"$OBJMOUNT_TEST_REPORT"; touch "$0.told"; exec sleep 1000`)
	bad := fake(t, "bad", `echo "--- FAIL: TestA (0.1s)"; touch "$0.told"; exec sleep 1000`)
	late := fake(t, "late", "")
	late.runs, late.spent = 1, time.Hour
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for _, r := range []*runner{slow, bad} {
			for _, err := os.Stat(r.binary + ".told"); err != nil && ctx.Err() == nil; _, err = os.Stat(r.binary + ".told") {
				time.Sleep(10 * time.Millisecond)
			}
		}
		stop()
	}()
	work(ctx, []*runner{slow, bad, late}, 3, time.Now().Add(time.Minute), 0)
	if slow.runs != 0 || !slow.cut || len(slow.found) != 0 || slow.sum != (tally{2, 30, 0}) {
		t.Errorf("%+v", slow)
	}
	if len(bad.found) != 1 {
		t.Error("what had failed before the cut is forgotten")
	}
	if late.runs != 1 || late.cut {
		t.Error("a run of an hour is begun in the last minute")
	}
	var out strings.Builder
	if err := report(&out, []*runner{slow, late}, time.Second, ""); err != nil || !strings.Contains(out.String(), "counted: slow\n") {
		t.Errorf("%v\n%s", err, &out)
	}
	fields := strings.Fields(out.String()[strings.Index(out.String(), "together"):])
	if !slices.Equal(fields[:6], []string{"together", "1", "2", "30", "-", "0"}) {
		t.Errorf("the sum is %q", fields)
	}
}

// TestCampaignsExist: the expression of each campaign finds tests in its folder.
func TestCampaignsExist(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range campaigns {
		if names[c.name] || c.whatFor == "" {
			t.Errorf("%s: twice, or without a purpose", c.name)
		}
		names[c.name] = true
		files, err := filepath.Glob(filepath.Join("..", "..", c.folder, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests in %s, %v", c.name, c.folder, err)
		}
		want, found := regexp.MustCompile(c.run), 0
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				if want.Match(m[1]) {
					found++
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: no test of %s matches %s", c.name, c.folder, c.run)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-time", "0s"}, {"-parallel", "0"}, {"-only", "("}, {"word"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	o, err := parse([]string{"-time", "2h", "-only", "nothing at all"})
	if err != nil || o.time != 2*time.Hour {
		t.Fatal(o, err)
	}
	if err := run(o); err == nil {
		t.Error("no campaign is a run")
	}
}
