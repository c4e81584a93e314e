package test

import (
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

//go:embed testdata/replay.py
var replayer string

// A step is a call that was made, and what a plain directory answered.
type step struct {
	call call
	said string
}

// replayScript makes the calls again, in a directory that it makes and that its argument names, and prints what each answers: on a
// mount and elsewhere the same lines, as long as all is well. Only those functions are in it that it needs.
func replayScript(steps []step) string {
	var b strings.Builder
	used := map[string]bool{}
	for _, s := range steps {
		used["def do_"+s.call.what+"("] = true
	}
	for block := range strings.SplitSeq(replayer, "\n\n\n") {
		head, _, _ := strings.Cut(block, "(")
		if !strings.HasPrefix(head, "def do_") || used[head+"("] || head == "def do_flush" {
			fmt.Fprintf(&b, "%s\n\n\n", strings.TrimSpace(block))
		}
	}
	for _, s := range steps {
		c := s.call
		fmt.Fprintf(&b, "do(%q, %q, %q, %#x, %d, %d, %d, %d, %d)  # %s\n", c.what, c.a, c.b, c.flags, c.handle, c.other, c.off, c.n, c.seed, s.said)
	}
	return b.String()
}

// shellScript is what is printed for a sequence that fails.
func shellScript(steps []step) string {
	return "# NEW is a directory to be made, on a mount or elsewhere. A comment is what a plain directory answered. For a mount, OBJMOUNT is\n" +
		"# the program for flush and evict, and REMOUNT a command that unmounts and mounts again.\n" +
		"python3 - \"$NEW\" <<'EOF'\n" + replayScript(steps) + "EOF\n"
}

// TestReplayScript: what is printed for a sequence makes the same calls.
func TestReplayScript(t *testing.T) {
	setFlag(t, "rapid.checks", "5")
	setFlag(t, "rapid.nofailfile", "true")
	plain := t.TempDir()
	calls := sequences(possible(t, plain))
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		a := newActor(filepath.Join(plain, fmt.Sprintf("actor%d", n)))
		defer a.close()
		var steps []step
		for _, c := range calls.Draw(t, "calls") {
			steps = append(steps, step{call: c, said: a.do(c)})
		}
		again := filepath.Join(plain, fmt.Sprintf("script%d", n))
		cmd := exec.Command("sh", "-c", shellScript(steps))
		cmd.Env = append(cmd.Environ(), "NEW="+again)
		out, err := cmd.CombinedOutput()
		said := strings.Split(string(out), "\n")
		if err != nil || len(said) != len(steps)+1 {
			t.Fatalf("the script: %v\n%s", err, out)
		}
		for i, s := range steps {
			if said[i] != s.said {
				t.Fatalf("%d %v: the script says %s, the actor %s", i, s.call, said[i], s.said)
			}
		}
		if d := differences(again, a.root); len(d) > 0 {
			t.Fatalf("after the script %s", strings.Join(d, "\n"))
		}
	})
}
