package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCtlObjectStat(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.stat")
		bucket := s.newLockBucket(t)
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		old := s.putVersion(t, bucket, "d/f", "old content", map[string]any{
			"ContentType": "text/x-own", "CacheControl": "no-store", "Metadata": map[string]any{"color": "blue"}, "Tagging": "a=1&b=2",
			"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": botoTime(until), "ObjectLockLegalHoldStatus": "ON",
		})
		var told struct{ ETag string }
		s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": "d/f"}, &told)
		now := s.putVersion(t, bucket, "d/f", "new", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		type object struct {
			Key          string            `json:"key"`
			VersionID    string            `json:"version_id"`
			Size         int64             `json:"size"`
			LastModified time.Time         `json:"last_modified"`
			ETag         string            `json:"etag"`
			ContentType  string            `json:"content_type"`
			CacheControl string            `json:"cache_control"`
			Metadata     map[string]string `json:"metadata"`
			Tags         map[string]string `json:"tags"`
			Mode         string            `json:"retention_mode"`
			Until        time.Time         `json:"retain_until"`
			LegalHold    bool              `json:"legal_hold"`
		}
		for _, args := range [][]string{{"object", "stat", "--json", "--version-id", old, "d/f"}, m.bare("object", "stat", "--json", "--version-id", old, "s3://"+bucket+"/d/f")} {
			o := jsonLines[object](t, m.mustCtl(args...))[0]
			if o.Key != "d/f" || o.VersionID != old || o.Size != 11 || o.ETag != strings.Trim(told.ETag, `"`) || o.ContentType != "text/x-own" || o.CacheControl != "no-store" ||
				o.Metadata["color"] != "blue" || o.Tags["a"] != "1" || o.Tags["b"] != "2" || o.Mode != "GOVERNANCE" || !o.Until.Equal(until) || !o.LegalHold ||
				time.Since(o.LastModified) > time.Hour {
				t.Errorf("%q: %+v", args, o)
			}
		}
		text := m.mustCtl("object", "stat", "--version-id", old, "d/f")
		for _, want := range []string{"metadata:", "color=blue", "b=2", "text/x-own", "GOVERNANCE until ", "legal hold:", old} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if o := jsonLines[object](t, m.mustCtl("object", "stat", "--json", "d/f"))[0]; o.VersionID != now || o.Size != 3 || o.LegalHold || len(o.Tags) > 0 {
			t.Errorf("the current one: %+v", o)
		}
		write(t, m.in("d/g"), "written through the mount")
		if o := jsonLines[object](t, m.mustCtl("object", "stat", "--json", "d/g"))[0]; o.Size != 25 || o.VersionID == "" {
			t.Errorf("what was just closed: %+v", o)
		}
		m.failsCtl(1, "nothing is or was", "object", "stat", "none")
		m.failsCtl(2, "is a bucket", "object", "stat", ".")
		s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": "d/f", "VersionId": old, "LegalHold": map[string]any{"Status": "OFF"}}, nil)
	})
}

func TestCtlObjectExists(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "d/f", "content", nil)
		s.remove(t, bucket, "d/f")
		s.putVersion(t, bucket, "d/g", "content", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.mustCtl("object", "exists", "d/g", "d", ".")
		m.mustCtl("object", "exists", "--version-id", old, "d/f")
		m.mustCtl(m.bare("object", "exists", "s3://"+bucket+"/d/g", "s3://"+bucket+"/d/", "s3://"+bucket)...)
		m.failsCtl(1, "d/f: not there", "object", "exists", "d/f")
		m.failsCtl(1, "not there", m.bare("object", "exists", "s3://"+bucket+"/d/f")...)
		m.failsCtl(1, "not there", m.bare("object", "exists", "s3://"+bucket+"/e/")...)
		m.failsCtl(3, "no such bucket", m.bare("object", "exists", "s3://"+bucket+"-none/f")...)
		if a := m.ctl("object", "exists", "--json", "d/f"); a.code != 1 || a.out != `{"bucket":"`+bucket+`","key":"d/f","exists":false}`+"\n" {
			t.Errorf("exit code %d, %s", a.code, a.out)
		}
	})
}

func TestCtlObjectList(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.list")
		bucket := s.newVersionedBucket(t)
		ids := map[string]string{}
		for _, key := range []string{"a", "d/1", "d/2", "d/e/3", "d/e/4", "z"} {
			ids[key] = s.putVersion(t, bucket, key, key, map[string]any{"Metadata": map[string]any{"name": strings.ReplaceAll(key, "/", "-")}, "ContentType": "text/x-" + key[:1]})
		}
		s.putVersion(t, bucket, "d/1", "newer", nil)
		s.remove(t, bucket, "d/2")
		s.putVersion(t, bucket, "d/2", "d/2", map[string]any{"Metadata": map[string]any{"name": "d-2"}, "ContentType": "text/x-d"})
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		type object struct {
			Key         string            `json:"key"`
			Prefix      bool              `json:"prefix"`
			VersionID   string            `json:"version_id"`
			Marker      bool              `json:"delete_marker"`
			Size        int64             `json:"size"`
			ContentType string            `json:"content_type"`
			Metadata    map[string]string `json:"metadata"`
		}
		list := func(args ...string) (keys string, all []object) {
			t.Helper()
			all = jsonLines[object](t, m.mustCtl(args...))
			var names []string
			for _, o := range all {
				names = append(names, o.Key)
			}
			return strings.Join(names, " "), all
		}
		for _, test := range []struct{ want, args string }{
			{"a d/ z", "."},
			{"d/1 d/2 d/e/", "d"},
			{"d/1 d/2 d/e/3 d/e/4", "--recursive d"},
			{"d/e/3 d/e/4", "--recursive --start-after d/2 d"},
			{"d/2 d/e/3", "--recursive --start-after d/1 --max-keys 2 d"},
			{"d/e/3 d/e/4", "--recursive --prefix e/ d"},
			{"d/1 d/1", "--versions d/1"},
			{"d/1 d/1 d/2 d/2 d/2 d/e/", "--versions d"},
		} {
			if got, _ := list(append([]string{"object", "list", "--json"}, strings.Fields(test.args)...)...); got != test.want {
				t.Errorf("%s: %s, want %s", test.args, got, test.want)
			}
		}
		_, all := list("object", "list", "--json", "--metadata", "--recursive", "--start-after", "d/1", ".")
		for _, o := range all {
			if o.Metadata["name"] != strings.ReplaceAll(o.Key, "/", "-") || o.ContentType != "text/x-"+o.Key[:1] {
				t.Errorf("%+v", o)
			}
		}
		if len(all) != 4 {
			t.Errorf("%+v", all)
		}
		if got, _ := list(m.bare("object", "list", "--json", "--recursive", "s3://"+bucket+"/d/")...); got != "d/1 d/2 d/e/3 d/e/4" {
			t.Errorf("without a mount: %s", got)
		}
		_, all = list("object", "list", "--json", "--versions", "--metadata", "d/1")
		if len(all) != 2 || all[1].VersionID != ids["d/1"] || all[1].Metadata["name"] != "d-1" || all[0].Metadata["name"] != "" {
			t.Errorf("versions: %+v", all)
		}
		if text := m.mustCtl("object", "list", "--metadata", "d"); !strings.Contains(text, "text/x-d") || !strings.Contains(text, "name=d-2") || !strings.Contains(text, "d/e/\n") {
			t.Errorf("as text:\n%s", text)
		}
	})
}

func TestCtlObjectDelete(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-delete")
		bucket := s.newLockBucket(t)
		put := func(key string, locked bool) string {
			more := map[string]any{}
			if locked {
				more = map[string]any{"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": botoTime(time.Now().Add(time.Hour))}
			}
			return s.putVersion(t, bucket, key, key, more)
		}
		for _, key := range []string{"a", "d/1", "d/2", "d/3", "d/e/4", "d/e/5 ", "z"} {
			put(key, false)
		}
		locked := put("d/locked", true)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.reads("a", "a")
		has := func(want string) {
			t.Helper()
			var keys []string
			for key := range s.snapshot(t, bucket, "") {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if got := strings.Join(keys, ","); got != want {
				t.Errorf("the other client sees %s, want %s", got, want)
			}
		}
		if out := m.mustCtl("object", "delete", "--json", "a"); !strings.HasPrefix(out, `{"ok":true,"bucket":"`+bucket+`","key":"a","action":"deleted"`) {
			t.Errorf("answer: %s", out)
		}
		m.reads("a", "") // gone in the mount at once
		m.failsCtl(1, "nothing is at", "object", "delete", "a")
		m.failsCtl(2, "--recursive", "object", "delete", "d")
		m.failsCtl(2, "--yes is needed", "object", "delete", "--recursive", "d")
		if out := m.mustCtl("object", "delete", "--dry-run", "d/1", "d/2"); strings.Count(out, "would be deleted: d/") != 2 {
			t.Errorf("dry run: %s", out)
		}
		has("d/1,d/2,d/3,d/e/4,d/e/5 ,d/locked,z")
		keys := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(keys, []byte("d/2\nd/e/5 \n\nd/none\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := m.ctlFed(keys, "object", "delete", "d", "-"); a.code != 0 || strings.Count(a.out, "deleted: ") != 3 {
			t.Errorf("%+v", a)
		}
		has("d/1,d/3,d/e/4,d/locked,z")
		if err := os.WriteFile(keys, []byte("d/1\x00z"), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := m.ctlFed(keys, "object", "delete", "--null", "d", "-"); a.code != 2 || !strings.Contains(a.problems, `"z" is not below`) {
			t.Errorf("%+v", a)
		}
		has("d/1,d/3,d/e/4,d/locked,z")
		if a := m.ctlFed(keys, m.bare("object", "delete", "--null", "s3://"+bucket, "-")...); a.code != 0 {
			t.Errorf("%+v", a)
		}
		has("d/3,d/e/4,d/locked")
		m.failsCtl(12, "d/locked stays: ", "object", "delete", "--recursive", "--yes", "d")
		has("d/locked")
		m.failsCtl(12, "stays", "object", "delete", "--version-id", locked, "d/locked")
		m.failsCtl(12, "stays", m.bare("object", "delete", "s3://"+bucket+"/d/locked")...)
		has("d/locked")
		m.mustCtl("object", "delete", "--bypass-governance", "d/locked")
		has("")
		m.mustCtl("object", "delete", "--version-id", locked, "--bypass-governance", "d/locked")
		if _, there := s.versions(t, bucket, "d/locked")[locked]; there {
			t.Error("the version is still there")
		}
	})
}

// ctlFed is ctl with a file as standard input.
func (m *mount) ctlFed(file string, args ...string) ctlAnswer {
	m.t.Helper()
	script := `f=$1; shift; exec "$0" ctl "$@" < "$f"`
	cmd := exec.Command("sh", append([]string{"-c", script, m.cmd.Path, file}, args...)...)
	cmd.Dir, cmd.Env = m.dir, m.environment()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return ctlAnswer{out.String(), problems.String(), cmd.ProcessState.ExitCode()}
}

func TestCtlObjectCopy(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.copy")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "d/f", "old content", map[string]any{"ContentType": "text/x-own", "Metadata": map[string]any{"color": "blue"}, "Tagging": "a=1"})
		s.putVersion(t, bucket, "d/f", "new", nil)
		s.putVersion(t, bucket, "there", "is something", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.reads("copy", "")
		m.mustCtl("object", "copy", "--version-id", old, "d/f", "copy")
		m.reads("copy", "old content")
		head := func(key string) (contentType string, metadata map[string]string, etag string) {
			t.Helper()
			var reply struct {
				ContentType, ETag string
				Metadata          map[string]string
			}
			s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": key}, &reply)
			return reply.ContentType, reply.Metadata, strings.Trim(reply.ETag, `"`)
		}
		if kind, meta, _ := head("copy"); kind != "text/x-own" || meta["color"] != "blue" || s.tags(t, bucket, "copy")["a"] != "1" {
			t.Errorf("the other client sees %s %v %v", kind, meta, s.tags(t, bucket, "copy"))
		}
		replace := []string{"object", "copy", "--version-id", old, "--metadata-directive", "replace", "--content-type", "image/png", "--metadata", "Size=big",
			"--tagging", "replace", "--tag", "b=2", "d/f", "copy"}
		m.mustCtl(replace...)
		if kind, meta, _ := head("copy"); kind != "image/png" || meta["color"] != "" || meta["size"] != "big" || s.tags(t, bucket, "copy")["b"] != "2" || len(s.tags(t, bucket, "copy")) != 1 {
			t.Errorf("the other client sees %s %v %v", kind, meta, s.tags(t, bucket, "copy"))
		}
		m.mustCtl("object", "copy", "d/f", "d/new/")
		m.mustCtl(m.bare("object", "copy", "s3://"+bucket+"/d/f", "s3://"+bucket+"/e/g")...)
		for _, key := range []string{"d/new/f", "e/g"} {
			if got := string(s.get(t, bucket, key)); got != "new" {
				t.Errorf("%s is %q", key, got)
			}
		}
		if a := m.ctl("object", "copy", "--if-none-match", "d/f", "there"); a.code == 0 {
			t.Errorf("it was copied over something: %+v", a)
		}
		_, _, etag := head("there")
		m.failsCtl(1, "is not copied", "object", "copy", "--source-if-match", etag, "d/f", "there")
		if got := string(s.get(t, bucket, "there")); got != "is something" {
			t.Errorf("there is %q", got)
		}
		if a := m.ctl("object", "copy", "--if-none-match", "d/f", "fresh"); a.code != 13 {
			if got := string(s.get(t, bucket, "fresh")); a.code != 0 || got != "new" {
				t.Errorf("%+v, %q", a, got)
			}
		}
		if a := m.ctl("object", "copy", "--if-match", etag, "d/f", "there"); a.code != 13 {
			if got := string(s.get(t, bucket, "there")); a.code != 0 || got != "new" {
				t.Errorf("%+v, %q", a, got)
			}
		}
		if a := m.ctl("object", "copy", "--if-match", etag, "--version-id", old, "d/f", "there"); a.code == 0 {
			t.Errorf("the ETag is another one now: %+v", a)
		}
		m.failsCtl(2, "not in the same mount", "object", "copy", "d/f", "s3://"+bucket+"/x")
	})
}

func TestCtlObjectCompose(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.compose")
		bucket := s.newBucket(t)
		large := bytes.Repeat([]byte("0123456789abcdef"), 6<<16) // 6 MiB
		s.put(t, bucket, "small", []byte("small"))
		s.put(t, bucket, "large", large)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		write(t, m.in("end"), "written through the mount")
		same := func(key string, parts ...[]byte) {
			t.Helper()
			if got := s.get(t, bucket, key); !bytes.Equal(got, slices.Concat(parts...)) {
				t.Errorf("%s has %d bytes, want %d, or others", key, len(got), len(slices.Concat(parts...)))
			}
		}
		m.mustCtl("object", "compose", "--content-type", "text/x-all", "--metadata", "color=blue", "all", "small", "large", "small", "large", "end")
		same("all", []byte("small"), large, []byte("small"), large, []byte("written through the mount"))
		var told struct {
			ContentType string
			Metadata    map[string]string
		}
		s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": "all"}, &told)
		if told.ContentType != "text/x-all" || told.Metadata["color"] != "blue" {
			t.Errorf("%+v", told)
		}
		m.mustCtl(m.bare("object", "compose", "s3://"+bucket+"/two", "s3://"+bucket+"/small", "s3://"+bucket+"/small")...)
		m.reads("two", "smallsmall")
		sources := filepath.Join(t.TempDir(), "sources")
		if err := os.WriteFile(sources, []byte("two\nsmall\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := m.ctlFed(sources, "object", "compose", "two", "-"); a.code != 0 {
			t.Errorf("appended: %+v", a)
		}
		m.reads("two", "smallsmallsmall")
		m.failsCtl(1, "not found", "object", "compose", "new", "small", "none")
		if a := m.ctl("object", "compose", "--if-none-match", "two", "large"); a.code != 1 && a.code != 13 {
			t.Errorf("made over something: %+v", a)
		}
		same("two", []byte("smallsmallsmall"))
	})
}

func TestCtlObjectGet(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newVersionedBucket(t)
		large := bytes.Repeat([]byte("0123456789abcde\xff"), 1<<16) // 1 MiB
		old := s.putVersion(t, bucket, "d/f", string(large), nil)
		s.putVersion(t, bucket, "d/f", "new", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		for _, test := range []struct {
			args string
			want string
		}{
			{"d/f", "new"},
			{"d/f -", "new"},
			{"--version-id " + old + " d/f", string(large)},
			{"--version-id " + old + " --offset 500001 d/f", string(large[500001:])},
			{"--version-id " + old + " --offset 14 --length 4 d/f", "e\xff01"},
			{"--offset 1 --length 100 d/f", "ew"},
		} {
			if got := m.mustCtl(append([]string{"object", "get"}, strings.Fields(test.args)...)...); got != test.want {
				t.Errorf("%s: %d bytes, want %d", test.args, len(got), len(test.want))
			}
		}
		file := filepath.Join(t.TempDir(), "file")
		type got struct {
			Result struct {
				Size    int64  `json:"size"`
				ETag    string `json:"etag"`
				Version string `json:"version_id"`
			} `json:"result"`
		}
		reply := jsonLines[got](t, m.mustCtl(m.bare("object", "get", "--json", "--version-id", old, "s3://"+bucket+"/d/f", file)...))[0]
		if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, large) || reply.Result.Size != 1<<20 || reply.Result.Version != old {
			t.Errorf("%v, %d bytes, %+v", err, len(data), reply)
		}
		m.mustCtl("object", "get", "--if-match", reply.Result.ETag, "--version-id", old, "d/f", "/dev/null")
		m.failsCtl(1, "", "object", "get", "--if-match", reply.Result.ETag, "d/f", file)
		m.failsCtl(2, "range", "object", "get", "--offset", "3", "d/f", file)
		m.failsCtl(1, "nothing is or was", "object", "get", "none", file)
		if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, large) {
			t.Errorf("what failed has changed the file: %v, %d bytes", err, len(data))
		}
		if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
			t.Errorf("left: %v, %v", entries, err)
		}
	})
}
