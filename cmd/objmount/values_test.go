package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]size{
		"0": 0, "4096": 4096, "1KiB": 1 << 10, "256MiB": 256 << 20, "10GiB": 10 << 30, "2TiB": 2 << 40, "1MB": 1e6, "1.5 GiB": 3 << 29, "64mib": 64 << 20, " 5 ": 5,
	} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%q is %d (%v), want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1XB", "99999999999999999999", "10EiB", "1,5x"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "10": 10 * time.Second, "10s": 10 * time.Second, "1m30s": 90 * time.Second, "2h": 2 * time.Hour, "7d": 7 * 24 * time.Hour, "500ms": 500 * time.Millisecond,
	} {
		var i interval
		if err := i.Set(text); err != nil || time.Duration(i) != want {
			t.Errorf("%q is %v (%v), want %v", text, time.Duration(i), err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "-1s", "1w", "d", "99999999999", "9999999d"} {
		var i interval
		if err := i.Set(text); err == nil {
			t.Errorf("%q is %v", text, time.Duration(i))
		}
	}
	for d, want := range map[time.Duration]string{10 * time.Second: "10s", time.Minute: "1m", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", time.Hour: "1h", 0: "0s", 100 * time.Minute: "1h40m"} {
		if i := interval(d); i.String() != want {
			t.Errorf("%v is shown as %q, want %q", d, i.String(), want)
		}
	}
}

// TestValuesShowWhatTheyRead: what the help shows as a default can be given as a flag.
func TestValuesShowWhatTheyRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, i, o := size(rapid.Int64Min(0).Draw(t, "size")), interval(rapid.Int64Min(0).Draw(t, "interval")), octal(rapid.Uint32Max(0o777).Draw(t, "octal"))
		var s2 size
		var i2 interval
		var o2 octal
		for _, pair := range [][2]pflag.Value{{&s, &s2}, {&i, &i2}, {&o, &o2}} {
			if err := pair[1].Set(pair[0].String()); err != nil || pair[0].String() != pair[1].String() {
				t.Fatalf("%s was read as %s (%v)", pair[0], pair[1], err)
			}
		}
		if s != s2 || i != i2 || o != o2 {
			t.Fatalf("%d %d %d were read as %d %d %d", s, i, o, s2, i2, o2)
		}
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	a := account{7, lookupUser, "user"}
	if err := a.Set("root"); err != nil || a.id != 0 {
		t.Errorf("root is %d (%v)", a.id, err)
	}
	if err := a.Set("4242"); err != nil || a.id != 4242 {
		t.Errorf("4242 is %d (%v)", a.id, err)
	}
	for _, text := range []string{"", "-1", "4294967295", "4294967296", "no such user"} {
		if err := a.Set(text); err == nil {
			t.Errorf("%q is %d", text, a.id)
		}
	}
}

// TestDefaultsAreLegal: every default can be given as a flag and means the same.
func TestDefaultsAreLegal(t *testing.T) {
	t.Parallel()
	for _, g := range newOptions().groups() {
		g.flags.VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "stringArray" || f.DefValue == "" { // the default is found out at run time
				return
			}
			before := f.Value.String()
			if err := f.Value.Set(f.DefValue); err != nil || f.Value.String() != before {
				t.Errorf("--%s=%s: %v, then it is %s", f.Name, f.DefValue, err, f.Value)
			}
			if f.Usage == "" {
				t.Errorf("--%s is not explained", f.Name)
			}
		})
	}
}
