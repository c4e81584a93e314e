package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// configured writes the configuration file that the mounts of a new state directory read, and returns that.
func configured(t testing.TB, text string) (state string) {
	t.Helper()
	state = newState(t)
	writeConfiguration(t, state, text)
	return state
}

func writeConfiguration(t testing.TB, state, text string) {
	t.Helper()
	dir := filepath.Join(state, "config", "objmount")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// described is what the configuration may give, as the other client sees it.
type described struct {
	ContentType, CacheControl, ContentDisposition, ContentLanguage, StorageClass string
	Origin                                                                       string // metadata
	Tags                                                                         map[string]string
	LockMode, LegalHold                                                          string
}

func (s *store) describes(t testing.TB, bucket, key string) described {
	t.Helper()
	h := s.head(t, bucket, key)
	return described{
		h.ContentType, h.CacheControl, h.ContentDisposition, h.ContentLanguage, strings.TrimPrefix(h.StorageClass, "STANDARD"),
		h.Metadata["origin"], s.tags(t, bucket, key), h.ObjectLockMode, h.ObjectLockLegalHoldStatus,
	}
}

const rules = `
default-remote = "store"
[remote.store]
[[remote.store.prefix]]
path = "*/in/"
content-type = "text/x-rule"
cache-control = "max-age=60"
content-language = "en"
content-disposition = "inline"
tags = { team = "a", cost = "1" }
metadata = { origin = "rule" }
[[remote.store.prefix]]
path = "*/in/other/"
cache-control = "no-store"
[[remote.store.prefix]]
path = "*/classes/"
storage-class = "REDUCED_REDUNDANCY"
`

// Programs write files below a prefix, and the other client finds what the configuration gives there: of new objects, and of
// those alone.
func TestDefaultsOfAPrefix(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.prefix-defaults")
		for _, commit := range []string{"close", "background"} {
			bucket := s.newBucket(t)
			s.put(t, bucket, "in/old", []byte("old"))
			s.put(t, bucket, "source", []byte("content"))
			s.put(t, bucket, "moved", []byte("moved"))
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: configured(t, rules), args: []string{"--commit=" + commit}, noisy: "classes"})
			w := inMount(t, m)
			w.writeScratch("new", bytesOf(1, 7*mib), 0o644)
			w.sh(`
mkdir -p in/other
echo hello > in/echo.html
cp $SRC/new in/copied
cp -p $SRC/new in/preserved
cp source in/inside
cp --sparse=always $SRC/new in/other/nearer
tar -cf - -C $SRC new | tar -xf - -C in
rsync -a $SRC/new in/rsynced
touch in/empty
: > in/named; setfattr -n user.s3.cache-control -v private in/named; setfattr -n user.s3.tag.team -v mine in/named; echo named >> in/named
mv moved in/moved
echo more >> in/old
chmod 600 in/old
exec 3> in/set; setfattr -n user.s3.cache-control -v no-cache in/set; setfattr -x user.s3.tag.cost in/set; echo set >&3; exec 3>&-
`)
			m.unmount()
			want := described{
				ContentType: "text/x-rule", CacheControl: "max-age=60", ContentLanguage: "en", ContentDisposition: "inline", Origin: "rule",
				Tags: map[string]string{"team": "a", "cost": "1"},
			}
			has := func(key string, change func(*described)) {
				t.Helper()
				want := want
				change(&want)
				if diff := cmp.Diff(want, s.describes(t, bucket, key)); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", commit, key, diff)
				}
			}
			for _, key := range []string{"in/echo.html", "in/copied", "in/preserved", "in/inside", "in/new", "in/rsynced", "in/empty"} {
				has(key, func(*described) {})
			}
			has("in/other/nearer", func(d *described) { d.CacheControl = "no-store" })
			has("in/named", func(d *described) { d.CacheControl, d.Tags = "private", map[string]string{"team": "mine", "cost": "1"} })
			has("in/set", func(d *described) { d.CacheControl, d.Tags = "no-cache", map[string]string{"team": "a"} })
			for _, key := range []string{"in/moved", "in/old"} { // they were there already
				has(key, func(d *described) {
					*d = described{ContentType: s.head(t, bucket, key).ContentType, Tags: map[string]string{}}
					if d.ContentType == want.ContentType {
						t.Errorf("%s has the content type of the rule", key)
					}
				})
			}
		}
	})
}

// What the store does not have makes the creation fail, not the promise.
func TestDefaultsOfOneStoreOnly(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.prefix-defaults")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: configured(t, rules+`
[[remote.store.prefix]]
path = "*/locked/"
retention = "1d"
`), noisy: "cannot have"})
		w := inMount(t, m)
		w.sh("mkdir classes locked")
		w.sh(`if { echo x > locked/f; } 2>$SRC/why; then exit 1; fi; grep -q "Operation not supported" $SRC/why; fails test -e locked/f`)
		if s.name == "minio" {
			w.sh("echo x > classes/f")
			if got := s.describes(t, bucket, "classes/f"); got.StorageClass != "REDUCED_REDUNDANCY" {
				t.Errorf("%+v", got)
			}
		} else { // VersityGW has no classes
			w.sh(`if { echo x > classes/f; } 2>$SRC/why; then exit 1; fi; grep -q "Operation not supported" $SRC/why; fails test -e classes/f`)
		}
		m.unmount()
		for key := range s.snapshot(t, bucket, "locked/") {
			if key != "locked/" {
				t.Errorf("the store has %s", key)
			}
		}
	})
}

// A retention is on the object as soon as it is stored, and a legal hold.
func TestDefaultRetentionOfAPrefix(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.prefix-defaults")
		bucket := s.newLockBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: configured(t, `
default-remote = "store"
[remote.store]
[[remote.store.prefix]]
path = "*/governed/"
retention = "2d"
[[remote.store.prefix]]
path = "*/complied/"
retention = "1d"
retention-mode = "compliance"
[[remote.store.prefix]]
path = "*/held/"
legal-hold = true
`)})
		w := inMount(t, m)
		w.writeScratch("large", bytesOf(1, 9*mib), 0o640)
		w.sh(refusals + `
for dir in governed complied held; do
	mkdir $dir
	echo x > $dir/f
	cp -p $SRC/large $dir/large
	cmp $SRC/large $dir/large
	refused "echo more >> $dir/f"
	refused "rm $dir/f"
	refused "mv $dir/large $dir/other"
	mkdir $dir/sub
	rmdir $dir/sub
done
`)
		for _, dir := range []string{"governed", "complied", "held"} {
			for _, key := range []string{dir + "/f", dir + "/large"} {
				mode, until, hold := "GOVERNANCE", time.Now().AddDate(0, 0, 2), ""
				switch dir {
				case "complied":
					mode, until = "COMPLIANCE", time.Now().AddDate(0, 0, 1)
				case "held":
					mode, hold = "", "ON"
				}
				got := s.head(t, bucket, key)
				if got.ObjectLockMode != mode || got.ObjectLockLegalHoldStatus != hold {
					t.Errorf("%s: %+v", key, got)
				}
				if mode != "" {
					at, err := time.Parse(time.RFC3339, strings.Replace(got.ObjectLockRetainUntilDate, " ", "T", 1))
					if err != nil || at.Sub(until).Abs() > 10*time.Minute {
						t.Errorf("%s is locked until %v, want about %v (%v)", key, at, until, err)
					}
				}
				if n := len(s.versions(t, bucket, key)); n != 1 {
					t.Errorf("%s has %d versions", key, n)
				}
			}
		}
	})
}

// What objmount ctl makes gets it, too; a reload of the configuration counts from then on.
func TestDefaultsOfCtlAndReload(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.prefix-defaults")
		bucket := s.newBucket(t)
		s.put(t, bucket, "source", []byte("content"))
		state := configured(t, rules)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: state})
		w := inMount(t, m)
		w.writeScratch("new", []byte("new\n"), 0o644)
		w.sh("mkdir in elsewhere")
		m.mustCtl("object", "put", "--cache-control=private", "--tag=team=mine", "in/put", w.scratch+"/new")
		m.mustCtl(m.bare("object", "put", "s3://"+bucket+"/in/bare", w.scratch+"/new")...)
		m.mustCtl("object", "copy", "source", "in/copy")
		m.mustCtl("object", "compose", "in/composed", "source", "source")
		m.mustCtl("object", "copy", "source", "elsewhere/copy")
		both := map[string]string{"team": "a", "cost": "1"}
		for key, want := range map[string]described{
			"in/put":         {CacheControl: "private", Origin: "rule", Tags: map[string]string{"team": "mine", "cost": "1"}},
			"in/bare":        {CacheControl: "max-age=60", Origin: "rule", Tags: both},
			"in/copy":        {CacheControl: "max-age=60", Origin: "rule", Tags: both},
			"in/composed":    {CacheControl: "max-age=60", Origin: "rule", Tags: both},
			"elsewhere/copy": {Tags: map[string]string{}},
		} {
			got := s.describes(t, bucket, key)
			if diff := cmp.Diff(want, described{CacheControl: got.CacheControl, Origin: got.Origin, Tags: got.Tags}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", key, diff)
			}
		}
		writeConfiguration(t, state, strings.Replace(rules, "max-age=60", "max-age=61", 1)+"[remote.store.namespace.later]\n")
		m.mustCtl("config", "reload", ".")
		w.sh("echo x > in/later; test -d later; ls | grep -x later")
		if got := s.head(t, bucket, "in/later").CacheControl; got != "max-age=61" {
			t.Errorf("after a reload cache-control is %q", got)
		}
		if got := s.head(t, bucket, "in/bare").CacheControl; got != "max-age=60" {
			t.Errorf("the reload has changed an object: %q", got)
		}
	})
}
