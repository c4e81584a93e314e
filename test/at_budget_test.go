package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestAtBudget counts what the past costs: one page of versions for each thousand of them, and
// nothing for what was seen once.
func TestAtBudget(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	bucket := s.newVersionedBucket(t)
	store := func(n int, key func(i int) string) {
		inParallel(t, n, func(i int) error {
			key, body := key(i), fmt.Sprint(i)
			_, err := s.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
			return err
		})
	}
	store(950, func(i int) string { return fmt.Sprintf("flat/%03d", i) })
	store(400, func(i int) string { return fmt.Sprintf("tree/%02d/%02d", i/20, i%20) })
	then := apart()
	store(40, func(i int) string { return fmt.Sprintf("flat/%03d", i) })
	store(20, func(i int) string { return fmt.Sprintf("tree/%02d/later/%d", i, i) })

	p := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--at", then.Format(time.RFC3339Nano), "--metadata-ttl=1h"}})
	const page, object = "GETBucket?versions", "GetObject"
	for _, step := range []struct {
		name  string
		do    func()
		limit map[string]int
	}{
		{"stat of a directory", func() { _, err := os.Stat(m.in("flat")); must(t, err) }, map[string]int{page: 1}},
		{"ls -l of 950 files with 990 versions", func() { wantLines(t, 951, "ls", "-l", m.in("flat")) }, map[string]int{page: 1}},
		{"the same again", func() { wantLines(t, 951, "ls", "-l", m.in("flat")) }, nil},
		{"reading one that was overwritten", func() { wantLines(t, 0, "cat", m.in("flat/007")) }, map[string]int{object: 1}},
		{"the same again", func() { wantLines(t, 0, "cat", m.in("flat/007")) }, nil},
		// The first page tells which directories existed; the walk reads ahead, a thousand versions at once.
		{"find over 20 directories of 20 files", func() { wantLines(t, 421, "find", m.in("tree")) }, map[string]int{page: 8}},
		{"the same again", func() { wantLines(t, 421, "find", m.in("tree")) }, nil},
	} {
		p.take()
		step.do()
		got := p.take()
		over := len(got.counts) > len(step.limit)
		for op, n := range got.counts {
			over = over || n > step.limit[op]
		}
		if over {
			t.Errorf("%s: %v, want at most %v", step.name, got, step.limit)
		}
	}
}

func wantLines(t *testing.T, lines int, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil || strings.Count(string(out), "\n") != lines {
		t.Errorf("%s %q: %d lines, %v; want %d", name, args, strings.Count(string(out), "\n"), err, lines)
	}
}
