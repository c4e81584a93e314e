package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Several remotes in one mount: VersityGW and MinIO side by side.

// twoStores are the remotes of a mount, with a bucket of one name in both.
type twoStores struct {
	vgw, minio *store
	bucket     string
}

func openTwoStores(t *testing.T) *twoStores {
	t.Helper()
	two := &twoStores{vgw: openStore(t, "versitygw"), minio: openStore(t, "minio")}
	two.bucket = two.vgw.newBucket(t)
	two.minio.boto(t, "create_bucket", map[string]any{"Bucket": two.bucket}, nil)
	return two
}

// each calls fn with the name of each remote.
func (two *twoStores) each(fn func(name string, s *store)) {
	fn("gate", two.vgw)
	fn("minio", two.minio)
}

// remotesFile is a configuration with two remotes, each after the other's endpoint.
func remotesFile(gate, minio, more string) string {
	return fmt.Sprintf("[remote.gate]\nendpoint-url = %q\nvendor = \"versitygw\"\n[remote.minio]\nendpoint-url = %q\nregion = \"us-east-1\"\n%s", gate, minio, more)
}

func listDir(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestRemotesSideBySide: programs make buckets, copy and move between two stores, and a client of each finds what it should. A third
// remote has other credentials, which are wrong: they are in nobody else's way.
func TestRemotesSideBySide(t *testing.T) {
	t.Parallel()
	two := openTwoStores(t)
	two.each(func(_ string, s *store) { covers(t, s, "config.vendors") })
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("[remote.stranger]\nendpoint-url = %q\ncredentials-file = %q\n", two.minio.endpoint, wrong)
	m := newMount(t, mountOptions{source: "all:", state: configured(t, remotesFile(two.vgw.endpoint, two.minio.endpoint, more)), noisy: "stranger|readdir"})
	w := inMount(t, m)
	if names := listDir(t, m.dir); !slices.Equal(names, []string{"gate", "minio", "stranger"}) {
		t.Errorf("the root shows %v", names)
	}
	if _, err := os.ReadDir(m.in("stranger")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("with wrong credentials: %v", err)
	}
	two.each(func(name string, s *store) { two.madeAndRemoved(t, m, name, s) })

	w.sh("mkdir -p $SRC/tree/deep\necho small > $SRC/tree/small\nln -s small $SRC/tree/link")
	w.writeScratch("tree/deep/large", bytesOf(1, 20*mib), 0o640)
	w.sh(strings.ReplaceAll(`
cp -a $SRC/tree gate/BUCKET/
cp -a gate/BUCKET/tree minio/BUCKET/copied
diff -r --no-dereference $SRC/tree minio/BUCKET/copied
mv gate/BUCKET/tree minio/BUCKET/moved
fails test -e gate/BUCKET/tree
diff -r --no-dereference $SRC/tree minio/BUCKET/moved
mv minio/BUCKET/moved/small gate/BUCKET/
tar -cf - -C minio/BUCKET/copied . | tar -xf - -C gate/BUCKET
git init -q $SRC/repository
git -C $SRC/repository -c user.name=n -c user.email=e commit -q --allow-empty -m first
git clone -q $SRC/repository minio/BUCKET/repository
git clone -q minio/BUCKET/repository gate/BUCKET/repository
git -C gate/BUCKET/repository fsck --strict
fails mkdir other
fails rmdir gate
fails touch file
fails ln minio/BUCKET/copied/small gate/BUCKET/linked
`, "BUCKET", two.bucket))
	two.byCtl(t, m)
	m.unmount()
	large := digest(bytesOf(1, 20*mib))
	gate, minio := two.vgw.snapshot(t, two.bucket, ""), two.minio.snapshot(t, two.bucket, "")
	for key, objects := range map[string]map[string]object{"deep/large": gate, "copied/deep/large": minio, "moved/deep/large": minio} {
		if objects[key].SHA256 != large {
			t.Errorf("%s is %+v", key, objects[key])
		}
	}
	for key, there := range map[string]bool{"small": true, "tree/small": false, "tree/deep/large": false, "repository/.git/HEAD": true} {
		if _, ok := gate[key]; ok != there {
			t.Errorf("VersityGW has %s: %v", key, ok)
		}
	}
	if _, ok := minio["moved/small"]; ok {
		t.Error("MinIO has what was moved away")
	}
}

// madeAndRemoved: mkdir and rmdir in a remote are its buckets, and no other's.
func (two *twoStores) madeAndRemoved(t *testing.T, m *mount, name string, s *store) {
	t.Helper()
	if names := listDir(t, m.in(name)); !slices.Contains(names, two.bucket) {
		t.Errorf("%s shows %v, without %s", name, names, two.bucket)
	}
	made := two.bucket + "-" + name
	dir := m.in(name + "/" + made)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	two.each(func(other string, o *store) {
		if slices.Contains(o.buckets(t), made) != (other == name) {
			t.Errorf("%s has %s, which was made in %s: %v", other, made, name, other != name)
		}
	})
	if err := syscall.Rmdir(dir); err != nil {
		t.Error(err)
	}
	if slices.Contains(s.buckets(t), made) {
		t.Errorf("%s is still there", made)
	}
}

// byCtl: what is asked for by path is asked of the remote.
func (two *twoStores) byCtl(t *testing.T, m *mount) {
	t.Helper()
	status, err := m.command("status", m.dir)
	if err != nil {
		t.Fatal(err)
	}
	two.each(func(name string, s *store) {
		path := name + "/" + two.bucket
		if !strings.Contains(strings.Join(strings.Fields(status), " "), "remote "+name+" "+strings.TrimPrefix(s.endpoint, "http://")) {
			t.Errorf("status does not tell the remote %s:\n%s", name, status)
		}
		m.mustCtl("tags", "set", path+"/repository/.git/HEAD", "in="+name)
		if tags := s.tags(t, two.bucket, "repository/.git/HEAD"); tags["in"] != name {
			t.Errorf("%s: tags %v", name, tags)
		}
		made := two.bucket + "-by-ctl"
		m.mustCtl("bucket", "create", name+"/"+made)
		if !slices.Contains(s.buckets(t), made) {
			t.Errorf("%s: no bucket was made", name)
		}
		m.mustCtl("policy", "set", "--anonymous", "read", name+"/"+made)
		if code := s.anonymousGet(t, "/"+made+"/none"); code != 404 {
			t.Errorf("%s: a public bucket answers %d", name, code)
		}
		m.mustCtl("bucket", "delete", name+"/"+made)
		if slices.Contains(s.buckets(t), made) {
			t.Errorf("%s: the bucket is still there", name)
		}
	})
	list := m.ctl("bucket", "list", ".")
	for _, want := range []string{"gate/" + two.bucket, "minio/" + two.bucket} {
		if !strings.Contains(list.out, want) {
			t.Errorf("bucket list shows no %s:\n%s%s", want, list.out, list.problems)
		}
	}
	if list.code == 0 || !strings.Contains(list.problems, "stranger") {
		t.Errorf("bucket list says nothing of the remote that refuses: %d %s", list.code, list.problems)
	}
	m.failsCtl(2, "list of buckets", "bucket", "create", "gate")
	m.failsCtl(2, "are in two stores, which cannot copy between each other", "object", "copy", "gate/"+two.bucket+"/repository/.git/HEAD", "minio/"+two.bucket+"/HEAD")
}

// TestRemotesAfterACrash: what was written to two stores while neither answered goes to each of them from the next mount, although
// the file has another remote by then. While the names stand for each other's stores, nothing is uploaded.
func TestRemotesAfterACrash(t *testing.T) {
	t.Parallel()
	two := openTwoStores(t)
	state := configured(t, remotesFile(two.vgw.endpoint, two.minio.endpoint, ""))
	gate, minio := newProxy(t, two.vgw), newProxy(t, two.minio)
	proxied := remotesFile(gate.endpoint, minio.endpoint, "")
	writeConfiguration(t, state, proxied)
	m := newMount(t, mountOptions{source: "all:", state: state, args: []string{"--commit=background"}, noisy: "upload|request"})
	two.each(func(name string, _ *store) {
		if err := os.Mkdir(m.in(name+"/"+two.bucket+"/d"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m.in(name+"/"+two.bucket+"/first"), []byte("abilities are known"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := m.command("ctl", "flush", m.dir); err != nil {
		t.Fatal(err)
	}
	uploads := func(operation, _ string) bool {
		return operation == "PutObject" || operation == "CreateMultipartUpload"
	}
	for _, p := range []*proxy{gate, minio} {
		p.on(&rule{match: uploads, status: 503})
	}
	content := map[string]map[string][]byte{}
	n := uint64(0)
	two.each(func(name string, _ *store) {
		content[name] = map[string][]byte{}
		for key, size := range map[string]int{"small": 1000, "d/large": 20 * mib} {
			n++
			content[name][key] = bytesOf(n, size)
			if err := os.WriteFile(m.in(name+"/"+two.bucket+"/"+key), content[name][key], 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
	m.kill()
	for _, p := range []*proxy{gate, minio} {
		p.clear()
		p.take()
	}

	writeConfiguration(t, state, remotesFile(minio.endpoint, gate.endpoint, "")) // each is the other
	m = m.again()
	two.each(func(name string, _ *store) {
		if names := listDir(t, m.in(name+"/"+two.bucket)); !slices.Contains(names, "first") || slices.Contains(names, "small") {
			t.Errorf("with exchanged names, %s shows %v", name, names)
		}
	})
	m.unmount()
	for name, p := range map[string]*proxy{"gate": gate, "minio": minio} {
		if done := p.take(); done.counts["PutObject"]+done.counts["PutObject if-none-match"]+done.counts["CreateMultipartUpload"] != 0 {
			t.Errorf("%s was sent something: %v", name, done)
		}
	}

	writeConfiguration(t, state, proxied+fmt.Sprintf("[remote.more]\nendpoint-url = %q\n", two.vgw.endpoint))
	m = m.again()
	m.unmount()
	two.each(func(name string, s *store) {
		for key, want := range content[name] {
			if !bytes.Equal(s.get(t, two.bucket, key), want) {
				t.Errorf("%s: %s has other bytes", name, key)
			}
		}
	})
}

// TestOneRemoteAway: a store that is gone when the mount begins, one that hangs then, and one that hangs later leave the other as it is.
func TestOneRemoteAway(t *testing.T) {
	t.Parallel()
	two := openTwoStores(t)
	p, silent := newProxy(t, two.minio), newProxy(t, two.minio)
	silent.on(&rule{match: everything, hold: make(chan struct{})})
	nobody := "first-byte-timeout = \"10m\"\n[remote.nobody]\nendpoint-url = \"http://127.0.0.1:1\"\nmax-attempts = 1\n" +
		fmt.Sprintf("[remote.silent]\nendpoint-url = %q\n", silent.endpoint)
	m := newMount(t, mountOptions{
		source: "all:", state: configured(t, remotesFile(two.vgw.endpoint, p.endpoint, nobody)),
		args: []string{"--commit=background", "--retry-timeout=1s", "--metadata-ttl=0s"}, noisy: "nobody|silent|minio|request failed|upload",
	})
	if names := listDir(t, m.dir); !slices.Equal(names, []string{"gate", "minio", "nobody", "silent"}) {
		t.Errorf("the root shows %v", names)
	}
	for _, path := range []string{"nobody", "nobody/" + two.bucket} {
		if _, err := os.ReadDir(m.in(path)); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", path, err)
		}
	}
	status, err := m.command("status", m.dir)
	if err != nil || !strings.Contains(status, "refused") || !strings.Contains(status, "no answer yet") || strings.Count(status, ", fails: ") < 2 {
		t.Errorf("status: %v\n%s", err, status)
	}
	silent.clear()
	if names := listDir(t, m.in("silent")); !slices.Contains(names, two.bucket) {
		t.Errorf("a store that answers at last shows %v", names)
	}
	if err := os.Mkdir(m.in("nobody/new-bucket"), 0o755); !errors.Is(err, syscall.EIO) {
		t.Errorf("mkdir where nobody answers: %v", err)
	}
	for i := range 40 { // more than go up at once
		if err := os.WriteFile(m.in(fmt.Sprintf("minio/%s/f%d", two.bucket, i)), []byte("later"), 0o644); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // now that abilities are known
			if _, err := m.command("ctl", "flush", m.dir); err != nil {
				t.Fatal(err)
			}
			p.on(&rule{match: func(operation, _ string) bool { return operation == "PutObject" }, hold: make(chan struct{})})
		}
	}
	if err := os.WriteFile(m.in("gate/"+two.bucket+"/now"), bytesOf(1, 20*mib), 0o644); err != nil {
		t.Fatal(err)
	}
	now := map[string]any{"Bucket": two.bucket, "Key": "now"}
	for end := time.Now().Add(time.Minute); two.vgw.tryBoto("head_object", now, nil) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the store that works got nothing while the other one hung")
		}
	}
	if digest(two.vgw.get(t, two.bucket, "now")) != digest(bytesOf(1, 20*mib)) {
		t.Error("the store that works has other bytes")
	}
	if got := two.minio.snapshot(t, two.bucket, ""); len(got) != 1 {
		t.Errorf("the store that hangs has %v", got)
	}
	p.clear()
	m.unmount()
	if got := two.minio.snapshot(t, two.bucket, ""); len(got) != 40 {
		t.Errorf("at the end it has %d objects", len(got))
	}
}
