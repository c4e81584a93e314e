package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

// parse reads a mount command line as cobra would.
func parse(t *testing.T, sloppy bool, args ...string) (*options, *pflag.FlagSet, error) {
	t.Helper()
	o := newOptions()
	flags := pflag.NewFlagSet("mount", pflag.ContinueOnError)
	for _, g := range o.groups() {
		flags.AddFlagSet(g.flags)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o, flags, o.applyList(flags, sloppy)
}

func TestSplitOptions(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{
		"":                         {},
		",":                        {},
		"rw":                       {"rw"},
		"rw,,uid=0,":               {"rw", "uid=0"},
		`log-file=/a\,b,rw`:        {"log-file=/a,b", "rw"},
		`log-file="/a,b",rw`:       {"log-file=/a,b", "rw"},
		`cache-dir=/a\b,x`:         {`cache-dir=/a\b`, "x"},
		`a\\,b`:                    {`a\`, "b"},
		`a\`:                       {`a\`},
		`context="system_u:a,b",c`: {"context=system_u:a,b", "c"},
	} {
		if diff := cmp.Diff(want, append([]string{}, splitOptions(list)...)); diff != "" {
			t.Errorf("%q:\n%s", list, diff)
		}
	}
}

// TestAnyValueFits: every value can be written in a list, with its commas escaped.
func TestAnyValueFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[a-z,"\\ =]{1,8}`), 1, 4).Draw(t, "values")
		var written []string
		for _, v := range values {
			written = append(written, strings.NewReplacer(`\`, `\\`, `,`, `\,`, `"`, `\"`).Replace(v))
		}
		if diff := cmp.Diff(values, splitOptions(strings.Join(written, ","))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestEveryFlagIsAnOption, by its name and with underscores.
func TestEveryFlagIsAnOption(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"bool": "", "user": "=4242", "group": "=4242", "octal": "=0700", "size": "=65MiB", "time": "=11s", "number": "=9", "string": "=text",
		"when":        "=2026-11-01T12:00:00Z",
		"auto|on|off": "=off", "auto|true|false": "=false", "close|background": "=background", "remote|local": "=local", "commit|open": "=open",
		"close-to-open|ttl|immutable": "=ttl", "debug|info|warn|error": "=debug", "text|json": "=json",
	}
	for _, g := range newOptions().groups() {
		g.flags.VisitAll(func(f *pflag.Flag) {
			if f.Name == "options" || f.Name == "foreground" {
				return
			}
			value, ok := values[f.Value.Type()]
			if !ok {
				t.Fatalf("--%s has a new type %q", f.Name, f.Value.Type())
			}
			for _, name := range []string{f.Name, strings.ReplaceAll(f.Name, "-", "_")} {
				_, flags, err := parse(t, false, "-o", "rw,"+name+value)
				want := strings.TrimPrefix(value, "=")
				if value == "" {
					want = "true"
				}
				if got := flags.Lookup(f.Name); err != nil || got.Value.String() != want || !got.Changed {
					t.Errorf("-o %s%s: %v, it is %s", name, value, err, got.Value)
				}
			}
		})
	}
}

func TestFlagsWinOverOptions(t *testing.T) {
	t.Parallel()
	o, _, err := parse(t, false, "--commit=close", "-o", "commit=background,uid=5", "--uid=6", "-r", "-o", "rw")
	if err != nil || o.commit.value != "close" || o.uid.id != 6 || !o.readOnly {
		t.Errorf("commit %s, uid %d, read-only %v (%v)", o.commit.value, o.uid.id, o.readOnly, err)
	}
	o, _, err = parse(t, false, "-o", "ro", "-o", "uid=1,uid=2", "-o", "path-style")
	if err != nil || !o.readOnly || o.uid.id != 2 || o.pathStyle.value != "true" {
		t.Errorf("read-only %v, uid %d, path-style %s (%v)", o.readOnly, o.uid.id, o.pathStyle.value, err)
	}
	if o, _, err = parse(t, false, "-o", "ro,rw"); err != nil || o.readOnly {
		t.Errorf("ro,rw: read-only %v (%v)", o.readOnly, err)
	}
}

// TestMount8Options are lists that mount(8) and systemd really pass.
func TestMount8Options(t *testing.T) {
	t.Parallel()
	for _, list := range []string{
		"rw", "ro,nosuid,nodev,noexec,relatime", "rw,_netdev,nofail,x-systemd.automount,x-systemd.mount-timeout=10min,X-mount.mkdir",
		"rw,noexec,nosuid,nodev,user=alice", "defaults,noauto,users,comment=my bucket", "rw,dev,suid,exec,auto,nouser,async",
		"nosuid,nodev,allow_other,default_permissions,fsname=s3,max_read=131072", "uhelper=udisks2,noatime,lazytime",
	} {
		if _, _, err := parse(t, false, "-o", list); err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
	o, _, err := parse(t, true, "-o", "rw,what_is_this,uid=3")
	if err != nil || o.uid.id != 3 {
		t.Errorf("sloppy: %v, uid %d", err, o.uid.id)
	}
	o, _, err = parse(t, false, "-o", "rw,noexec")
	if err != nil || !o.noExec {
		t.Errorf("noexec is %v (%v)", o.noExec, err)
	}
	for name := range refusedOptions {
		if _, _, err := parse(t, false, "-o", name); codeOf(err) != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShownModes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args      []string
		file, dir uint32
	}{
		{nil, 0o644, 0o755},
		{[]string{"--umask=077"}, 0o600, 0o700},
		{[]string{"--umask=0"}, 0o666, 0o777},
		{[]string{"--file-mode=0664"}, 0o664, 0o755},
		{[]string{"--file-mode=0664", "--umask=027"}, 0o640, 0o750},
		{[]string{"-o", "dir_mode=0777,file_mode=600"}, 0o600, 0o777},
	} {
		o, flags, err := parse(t, false, test.args...)
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.check(flags, []string{"s3://b", "/mnt"})
		if err != nil || c.shownFileMode != test.file || c.shownDirMode != test.dir {
			t.Errorf("%v: %v, want %04o %04o, got %+v", test.args, err, test.file, test.dir, c)
		}
	}
}
