package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestWorkloadsOnPlainDirectory runs the workloads where they must pass: if one fails here, the
// workload is wrong and not objmount.
func TestWorkloadsOnPlainDirectory(t *testing.T) {
	t.Parallel()
	for _, l := range workloads {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := &workspace{T: t, dir: dir, scratch: t.TempDir(), settled: true}
			w.objects = func() map[string]object {
				objects, err := plainObjects(dir)
				if err != nil {
					t.Fatal(err)
				}
				return objects
			}
			if l.name == "cp killed over a file" {
				t.Skip("a plain directory has no old version to keep")
			}
			l.run(w)
			w.check(mustTree(t, dir))
		})
	}
}

// A combination is one way to mount.
type combination struct {
	store      string
	background bool
	diskCache  bool
}

func (c combination) String() string {
	commit, cache := "close", "memory"
	if c.background {
		commit = "background"
	}
	if c.diskCache {
		cache = "disk"
	}
	return fmt.Sprintf("%s,%s,%s", c.store, commit, cache)
}

// pairwise has every pair of values once.
var pairwise = []combination{
	{"versitygw", false, false},
	{"versitygw", true, true},
	{"minio", false, true},
	{"minio", true, false},
}

func combinations() []combination {
	if !soaking() {
		return pairwise
	}
	return allCombinations()
}

// allCombinations has the opposite of each as far from the end as that is from the beginning.
func allCombinations() []combination {
	var all []combination
	for i := range 8 {
		all = append(all, combination{[]string{"versitygw", "minio"}[i>>2], i&1 != 0, i&2 != 0})
	}
	return all
}

// TestWorkloads runs workloads (see workloadsOf) through real mounts and compares with the foreign client:
// after each workload where close means stored, and after the unmount everywhere.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	for i, c := range allCombinations() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			chosen := workloadsOf(i)
			s := openStore(t, c.store)
			bucket := s.newBucket(t)
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: c.args(), noisy: killedCopyNoise})
			trees := map[string]map[string]entry{}
			t.Run("workload", func(t *testing.T) {
				results := make(chan func(), len(chosen))
				t.Cleanup(func() {
					close(results)
					for f := range results {
						f()
					}
				})
				for _, l := range chosen {
					t.Run(l.name, func(t *testing.T) {
						t.Parallel()
						tree := runWorkload(t, l, m, s, bucket, !c.background)
						results <- func() { trees[folderOf(l)] = tree }
					})
				}
			})
			m.unmount()
			for _, l := range chosen {
				if tree := trees[folderOf(l)]; tree != nil {
					compareObjects(t, s.snapshot(t, bucket, folderOf(l)+"/"), folderOf(l)+"/", tree)
				}
			}
		})
	}
}

// workloadsOf are the workloads of a combination, by its number in allCombinations: in soak all of them. Else each workload is on two
// that have nothing in common, so that it sees both stores, both commit modes, and mounts with and without a disk cache; and every
// combination has some.
func workloadsOf(number int) []workload {
	if soaking() {
		return workloads
	}
	pair := min(number, len(allCombinations())-1-number)
	var chosen []workload
	for i := pair; i < len(workloads); i += len(allCombinations()) / 2 {
		chosen = append(chosen, workloads[i])
	}
	return chosen
}

// killedCopyNoise is what one workload provokes on purpose.
const killedCopyNoise = `interrupted`

func (c combination) args() []string {
	var args []string
	if c.background {
		args = append(args, "--commit=background")
	}
	size := "--cache-size=0"
	if c.diskCache {
		size = "--cache-size=256MiB"
	}
	return append(args, size)
}

// folderOf is the workload's directory in the mount.
func folderOf(l workload) string { return strings.NewReplacer(" ", "-", "=", "-").Replace(l.name) }

// runWorkload returns what the mount shows at the end, nil if the workload failed.
func runWorkload(t *testing.T, l workload, m *mount, s *store, bucket string, settled bool) map[string]entry {
	folder := folderOf(l)
	w := &workspace{T: t, dir: m.dir + "/" + folder, scratch: t.TempDir(), settled: settled, crash: m.dumpGoroutines}
	w.objects = func() map[string]object { return below(s.snapshot(t, bucket, folder+"/"), folder+"/") }
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.run(w)
	if t.Failed() {
		return nil
	}
	tree := mustTree(t, w.dir)
	if settled {
		w.check(tree)
	}
	return tree
}
