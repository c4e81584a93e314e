package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
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
	if did, finding := told.once(context.Background()); did != (tally{3, 30, 4}) || finding != "" {
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
	for name, script := range map[string]string{"bad luck": "echo the seed is 17; exit 1", "renamed": `echo "testing: warning: no tests to run"`} {
		r := fake(t, name, script)
		did, finding := r.once(context.Background())
		r.add(did, finding)
		text, err := os.ReadFile(finding)
		if err != nil || len(text) == 0 || len(r.found) != 1 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if name == "bad luck" && !bytes.Contains(text, []byte("the seed is 17")) {
			t.Errorf("kept %q", text)
		}
		if err := report([]*runner{r}, time.Second, r.findings); err == nil || !strings.Contains(err.Error(), "1 findings") {
			t.Errorf("%s: report says %v", name, err)
		}
	}
}

// TestEveryCampaignHasATurn: also when the time is over at once; a signal ends all.
func TestEveryCampaignHasATurn(t *testing.T) {
	t.Parallel()
	all := []*runner{fake(t, "a", ""), fake(t, "b", ""), fake(t, "c", "")}
	work(context.Background(), all, 2, time.Now())
	for _, r := range all {
		if r.runs != 1 {
			t.Errorf("%s had %d runs", r.name, r.runs)
		}
	}
	ctx, stop := context.WithCancelCause(context.Background())
	stop(errors.New("a signal"))
	work(ctx, all, 2, time.Now().Add(time.Hour))
	if all[0].runs != 1 {
		t.Error("run after a signal")
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
