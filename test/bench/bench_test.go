package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestSame: what is compared is found different where it is.
func TestSame(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*mib/16)
	changed := func(at int) []byte {
		c := bytes.Clone(data)
		c[at] ^= 1
		return c
	}
	for name, c := range map[string]struct {
		got []byte
		ok  bool
	}{
		"equal": {data, true}, "first byte": {changed(0), false}, "last byte": {changed(len(data) - 1), false},
		"short": {data[:len(data)-1], false}, "long": {append(bytes.Clone(data), 0), false}, "empty": {nil, false},
	} {
		if err := same(bytes.NewReader(c.got), bytes.NewReader(data), len(data)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := make([]byte, len(noise)+100)
	if _, err := io.ReadFull(&repeated{data: noise}, long); err != nil || !bytes.Equal(long[len(noise):], noise[:100]) {
		t.Error("noise does not begin again", err)
	}
	k := newKeeper(2)
	k[0], k[1] = []byte("a"), []byte("b")
	if err := k.all(func(i int) []byte { return []byte{'a' + byte(i)} }); err != nil {
		t.Error(err)
	}
	if k.all(func(int) []byte { return []byte("a") }) == nil {
		t.Error("a wrong piece was not noticed")
	}
}

// TestPrinted: a listing must have every name, and nothing else.
func TestPrinted(t *testing.T) {
	t.Parallel()
	name := func(i int) string { return string(rune('a' + i)) }
	for text, ok := range map[string]bool{
		"total 0\n-rw 1 a\n-rw 1 b\n": true, "total 0\n-rw 1 a\n-rw 1 c\n": false, "total 0\n-rw 1 a\n": false,
		"total 0\n-rw 1 a\n-rw 1 b\n-rw 1 c\n": false,
	} {
		b := &bench{mount: "m", kept: keeper{[]byte(text)}}
		if err := b.printedAll(2, 3, name); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTable: medians, the fastest, and the reason of a failure.
func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := newTable(&out, []string{"bare", "objmount", "s3fs", "rclone"})
	l := table.add("work", 20*time.Millisecond)
	for client, times := range map[string][]int{"bare": {1000}, "objmount": {1500, 9000, 2000}, "s3fs": {4000}} {
		for _, ms := range times {
			l.cell(client).add(result{time: time.Duration(ms) * time.Millisecond, cpu: time.Second, peak: 5 * mib})
		}
	}
	l.cell("rclone").add(result{time: time.Millisecond})
	l.cell("rclone").add(result{err: errors.New("no luck\nat all")})
	l.print()
	table.finish()
	for _, want := range []string{"work, +20 ms", "| 1.00 s", "2.00 s ×2 1.0 cpu 5 MiB *", "4.00 s ×4 1.0 cpu 5 MiB ", "failed: no luck", "| 0.50 |", "no luck\nat all"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
