package test

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// notPosix are the checks of go-fuse's suite that objmount does not pass, each with its reason.
// Each is run all the same and must fail, so that the table stays true.
var notPosix = map[string]string{
	"Link":                "an object has one name: link(2) is EPERM (fs/SEMANTICS.md)",
	"LinkUnlinkRename":    "an object has one name: link(2) is EPERM (fs/SEMANTICS.md)",
	"FcntlFlockLocksFile": "wants a conflict between two descriptors of one process, which POSIX locks do not have; the kernel keeps the locks of a mount",
	"FallocateKeepSize":   "an object has no space beyond its end: fallocate with KEEP_SIZE is EOPNOTSUPP (fs/SEMANTICS.md)",
}

// onceEnough are long checks that `make test` runs on the first mount alone, each with its reason; with OBJMOUNT_SOAK they run on all.
var onceEnough = map[string]string{
	"OpenSymlinkRace": "four thousand uploads, for a race of names that neither the store nor the time of an upload changes",
}

const (
	posixName = "OBJMOUNT_TEST_POSIX"     // name of the check that a child runs
	posixDir  = "OBJMOUNT_TEST_POSIX_DIR" // and where
)

func TestPosix(t *testing.T) {
	t.Parallel()
	for i, c := range []combination{{"versitygw", false, false}, {"minio", true, true}} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			s := openStore(t, c.store)
			m := newMount(t, mountOptions{store: s, source: "s3://" + s.newBucket(t), args: c.args()})
			const patience = 8 * time.Minute                       // of one check, whatever runs beside it: three were too few once
			watchdog := time.AfterFunc(patience, m.dumpGoroutines) // frees a call that hangs
			defer watchdog.Stop()
			for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
				if i > 0 && onceEnough[name] != "" && os.Getenv("OBJMOUNT_SOAK") == "" {
					continue
				}
				watchdog.Reset(patience)
				t.Run(name, func(t *testing.T) {
					if onceEnough[name] != "" {
						s.needs(t, quickWrites)
					}
					dir, err := os.MkdirTemp(m.dir, name)
					if err != nil {
						t.Fatal(err)
					}
					if reason := notPosix[name]; reason != "" {
						mustFail(t, name, dir, reason)
						return
					}
					posixtest.All[name](t, dir)
				})
			}
			m.unmount()
		})
	}
	for _, table := range []map[string]string{notPosix, onceEnough} {
		for name := range table {
			if posixtest.All[name] == nil {
				t.Errorf("the suite has no check %s any more; remove it from the table", name)
			}
		}
	}
}

// mustFail runs a check in a child process, because a check that fails ends its test.
func mustFail(t *testing.T, name, dir, reason string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPosixChild$", "-test.v")
	cmd.Env = append(os.Environ(), posixName+"="+name, posixDir+"="+dir)
	out, err := cmd.CombinedOutput()
	switch {
	case !strings.Contains(string(out), "=== RUN   TestPosixChild"):
		t.Errorf("the child did not run: %v\n%s", err, out)
	case err == nil && !strings.Contains(string(out), "--- SKIP"):
		t.Errorf("%s passes now; remove it from notPosix (%s)", name, reason)
	}
}

func TestPosixChild(t *testing.T) {
	name := os.Getenv(posixName)
	if name == "" {
		t.Skip("only as a child of TestPosix")
	}
	posixtest.All[name](t, os.Getenv(posixDir))
}
