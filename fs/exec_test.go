package fs

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const execChild = "OBJMOUNT_TEST_EXEC"

// TestExecChild is the program of TestProgramsExecutedWhileReplacing: it replaces a file and executes
// another program, which closes the file.
func TestExecChild(t *testing.T) {
	name := os.Getenv(execChild)
	if name == "" {
		t.Skip("only as a child")
	}
	h, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	check(t, err)
	_, err = h.WriteString("child")
	check(t, err)
	check(t, syscall.Exec("/bin/true", []string{"true"}, nil))
}

// TestProgramsExecutedWhileReplacing: execve(2) closes files while the kernel holds what readers of
// some files of /proc/PID wait for. FLUSH must be answered all the same.
func TestProgramsExecutedWhileReplacing(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("parent", []byte("old"))
		m.put("child", []byte("old"))
		h, err := os.OpenFile(m.path("parent"), os.O_WRONLY|os.O_TRUNC, 0)
		check(t, err)
		_, err = h.WriteString("parent")
		check(t, err)
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		check(t, exec.CommandContext(ctx, "/bin/true").Run()) // the child closes the parent's file
		self, err := os.Executable()
		check(t, err)
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestExecChild$")
		cmd.Env = append(os.Environ(), execChild+"="+m.path("child"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		check(t, h.Close())
		m.unmount()
		for _, name := range []string{"parent", "child"} {
			if data, err := m.stored(name); string(data) != name {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
	})
}
