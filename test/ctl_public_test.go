package test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unsigned makes a request without credentials and returns the status of its answer.
func (s *store) unsigned(t testing.TB, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequest(method, s.endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	return reply.StatusCode
}

// explanation is what objmount ctl policy explain --json says that everybody can do.
type explanation struct {
	Everybody []struct {
		May     []string
		Objects string
		If      string
		Unless  []struct{ Objects, If string }
	}
	Statements []struct{ Text, Void string }
	Summary    []string
}

// holds reads the few conditions that the tests have, for a plain client on this machine.
func holds(t testing.TB, condition string) bool {
	t.Helper()
	known := map[string]bool{
		"": true, "the address of the client is in 127.0.0.0/8": true, "the address of the client is in 192.0.2.0/24": false,
		"the connection is not encrypted (no TLS)": true,
	}
	value, ok := known[condition]
	if !ok {
		t.Errorf("the test does not know %q", condition)
	}
	return value
}

// means tells whether the words for a set of objects hold for a key. A listing of a prefix shows what is below it.
func means(t testing.TB, words, key string) bool {
	t.Helper()
	words, except, _ := strings.Cut(words, " except ")
	if except != "" && means(t, except, key) {
		return false
	}
	if words == "all objects" {
		return true
	}
	for begin, check := range map[string]func(of string) bool{
		"objects below ": func(of string) bool { return strings.HasPrefix(key, of) }, "objects that begin with ": func(of string) bool { return strings.HasPrefix(key, of) },
		"objects that end in ": func(of string) bool { return strings.HasSuffix(key, of) }, "the object ": func(of string) bool { return key == of },
		"objects that match ": func(of string) bool { ok, err := path.Match(of, key); return ok && err == nil },
	} {
		if of, ok := strings.CutPrefix(words, begin); ok {
			return check(of)
		}
	}
	t.Errorf("the test does not know %q", words)
	return false
}

func (e explanation) can(t testing.TB, do, key string) bool {
	t.Helper()
	for _, a := range e.Everybody {
		possible := slices.Contains(a.May, do) && holds(t, a.If) && means(t, a.Objects, key)
		for _, u := range a.Unless {
			if holds(t, u.If) && (u.Objects == "" || means(t, u.Objects, key)) {
				possible = false
			}
		}
		if possible {
			return true
		}
	}
	return false
}

// agrees compares what is said to be possible with what happens to requests without credentials.
func (m *mount) agrees(name, bucket string) explanation {
	m.t.Helper()
	s := m.options.store
	e := jsonLines[explanation](m.t, m.mustCtl("policy", "explain", "--json", "."))[0]
	for _, key := range []string{"f", "pub/f", "pub/deep/x.jpg"} {
		s.put(m.t, bucket, key, []byte("x"))
	}
	for _, ask := range []struct{ do, key, method, query string }{
		{"read", "f", "GET", ""}, {"read", "pub/f", "GET", ""}, {"read", "pub/deep/x.jpg", "HEAD", ""}, {"list", "", "GET", "?list-type=2"}, {"list", "pub/", "GET", "?list-type=2&prefix=pub/"},
		{"write", "w", "PUT", ""}, {"write", "pub/w", "PUT", ""}, {"delete", "f", "DELETE", ""}, {"delete", "pub/f", "DELETE", ""},
	} {
		at := "/" + bucket + "/" + ask.key
		if ask.query != "" {
			at = "/" + bucket + ask.query
		}
		status := s.unsigned(m.t, ask.method, at, "y")
		if possible, said := status < 300, e.can(m.t, ask.do, ask.key); possible != said || !possible && status != http.StatusForbidden {
			m.t.Errorf("%s: %s %s is answered by %d, but said is %q", name, ask.method, at, status, e.Summary)
		}
	}
	return e
}

func TestCtlExplainAgrees(t *testing.T) {
	t.Parallel()
	const objects, bucket, both, pub = `"arn:aws:s3:::BUCKET/*"`, `"arn:aws:s3:::BUCKET"`, `["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]`, `"arn:aws:s3:::BUCKET/pub/*"`
	allow := func(action, resource, more string) string {
		return `{"Effect": "Allow", "Principal": "*", "Action": ` + action + `, "Resource": ` + resource + more + `}`
	}
	deny := func(action, resource, more string) string {
		return `{"Effect": "Deny", "Principal": "*", "Action": ` + action + `, "Resource": ` + resource + more + `}`
	}
	from := func(addresses string) string {
		return `, "Condition": {"IpAddress": {"aws:SourceIp": ["` + addresses + `"]}}`
	}
	policies := map[string]string{
		"read":                         allow(`"s3:GetObject"`, objects, ""),
		"read below":                   allow(`["s3:GetObject"]`, pub, ""),
		"Get*":                         allow(`"s3:Get*"`, both, ""),
		"everything":                   allow(`"s3:*"`, both, ""),
		"everything but a directory":   allow(`"s3:*"`, both, "") + "," + deny(`"s3:GetObject"`, pub, ""),
		"everything but removal":       allow(`"s3:*"`, both, "") + "," + deny(`"s3:DeleteObject"`, objects, ""),
		"list below":                   allow(`"s3:ListBucket"`, bucket, `, "Condition": {"StringLike": {"s3:prefix": ["pub/*"]}}`),
		"list one prefix":              allow(`"s3:ListBucket"`, bucket, `, "Condition": {"StringEquals": {"s3:prefix": ["pub/"]}}`),
		"from here":                    allow(`["s3:GetObject", "s3:PutObject"]`, objects, from("127.0.0.0/8")),
		"from elsewhere":               allow(`"s3:GetObject"`, objects, from("192.0.2.0/24")),
		"not from here":                allow(`"s3:GetObject"`, objects, "") + "," + deny(`"s3:GetObject"`, pub, from("127.0.0.0/8")),
		"TLS only":                     allow(`"s3:GetObject"`, objects, "") + "," + deny(`"s3:*"`, both, `, "Condition": {"Bool": {"aws:SecureTransport": "false"}}`),
		"one object":                   allow(`"s3:GetObject"`, `"arn:aws:s3:::BUCKET/f"`, ""),
		"by its end":                   allow(`"s3:GetObject"`, `"arn:aws:s3:::BUCKET/*.jpg"`, ""),
		"one letter":                   allow(`"s3:GetObject"`, `"arn:aws:s3:::BUCKET/?"`, ""),
		"denied as a whole":            allow(`"s3:GetObject"`, pub, "") + "," + deny(`"s3:*"`, both, ""),
		"write below, read everything": allow(`"s3:PutObject"`, pub, "") + "," + allow(`"s3:GetObject"`, objects, ""),
	}
	// Some stores take what others do not know. VersityGW takes the first two, and does nothing with them.
	not := map[string]string{
		"NotAction":         `{"Effect": "Allow", "Principal": "*", "NotAction": "s3:GetObject", "Resource": ` + both + `}`,
		"NotAction denied":  allow(`"s3:GetObject"`, objects, "") + `, {"Effect": "Deny", "Principal": "*", "NotAction": "s3:PutObject", "Resource": ` + both + `}`,
		"NotPrincipal":      allow(`"s3:GetObject"`, objects, "") + `, {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "s3:GetObject", "Resource": ` + pub + `}`,
		"NotResource":       `{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "NotResource": ` + pub + `}`,
		"Another account":   `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "s3:GetObject", "Resource": ` + objects + `}`,
		"Everything, short": allow(`"*"`, `"*"`, ""),
	}
	refused := map[string][]string{"versitygw": {"NotResource", "Another account", "Everything, short"}, "minio": {"NotAction", "NotAction denied", "NotPrincipal"}}
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.policy")
		name := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + name})
		m.agrees("no policy", name)
		for _, all := range []map[string]string{policies, not} { // NotResource is last
			for _, of := range slices.Sorted(maps.Keys(all)) {
				statements := all[of]
				if slices.Contains(refused[s.name], of) {
					continue
				}
				policy := `{"Version": "2012-10-17", "Statement": [` + strings.ReplaceAll(statements, "BUCKET", name) + `]}`
				before := jsonLines[explanation](t, m.mustCtl("policy", "explain", "--json", "--file", documentFile(t, policy), "."))[0]
				s.boto(t, "put_bucket_policy", map[string]any{"Bucket": name, "Policy": policy}, nil)
				if diff := cmp.Diff(before, m.agrees(of, name)); diff != "" {
					t.Errorf("%s: said before it was set, and then:\n%s", of, diff)
				}
			}
		}
		if s.name == "versitygw" {
			policy := `{"Version": "2012-10-17", "Statement": [` + strings.ReplaceAll(not["NotPrincipal"], "BUCKET", name) + `]}`
			if out := m.mustCtl("policy", "explain", "--file", documentFile(t, policy), "."); !strings.Contains(out, "\n    without effect: the store takes NotPrincipal but does nothing") {
				t.Errorf("what VersityGW ignores:\n%s", out)
			}
		}
		m.mustCtl("policy", "set", ".", documentFile(t, m.mustCtl("policy", "get", "."))) // of MinIO with both Resource and NotResource
		m.mustCtl("policy", "delete", ".")
		m.mustCtl("policy", "set", "--anonymous", "read-write", "--prefix", "pub/", ".")
		if e := m.agrees("--anonymous", name); !strings.HasPrefix(e.Summary[0], "Everybody on the internet can read, ") {
			t.Errorf("%q", e.Summary)
		}
		m.failsCtl(2, "line 1: the policy has no Statement", "policy", "explain", "--file", documentFile(t, "{}"), ".")
	})
}

func TestCtlPublicBuckets(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.bucket-limits")
		m := newMount(t, mountOptions{store: s, source: "s3://"})
		name := newName()
		m.mustCtl("bucket", "create", "--public", m.in(name))
		show := m.mustCtl("bucket", "show", name)
		if !strings.Contains(show, "public:       yes\npublic by:    policy: Everybody on the internet can read all objects.\n") {
			t.Errorf("show:\n%s", show)
		}
		write(t, m.in(name+"/f"), "x")
		is := func(read int) {
			t.Helper()
			for at, want := range map[string]int{"/f": read, "?list-type=2": 403} {
				if got := s.unsigned(t, "GET", "/"+name+at, ""); got != want {
					t.Errorf("everybody gets %d of %s, want %d", got, at, want)
				}
			}
		}
		is(200)
		m.mustCtl("bucket", "update", "--public=false", name)
		is(403)
		s.hasDocument(t, "get_bucket_policy", name, "")
		mine := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"mine","Effect":"Deny","Principal":"*","Action":["s3:DeleteObject"],"Resource":["arn:aws:s3:::%s/keep/*"]}]}`, name)
		s.boto(t, "put_bucket_policy", map[string]any{"Bucket": name, "Policy": mine}, nil)
		for range 2 {
			m.mustCtl("bucket", "update", "--public", name)
			is(200)
			s.hasDocument(t, "get_bucket_policy", name, "mine")
			s.hasDocument(t, "get_bucket_policy", name, "objmountPublic")
		}
		m.mustCtl(m.bare("bucket", "update", "--public=false", "s3://"+name)...)
		is(403)
		s.hasDocument(t, "get_bucket_policy", name, "mine")
		if out := m.mustCtl("policy", "get", name); strings.Contains(out, "objmount") {
			t.Errorf("what is left is\n%s", out)
		}
		m.mustCtl("policy", "set", "--anonymous", "read", name)
		if a := m.ctl("bucket", "update", "--public=false", name); a.code != 0 || !strings.Contains(a.problems, "everybody can still read it") {
			t.Errorf("%+v", a)
		}
		m.failsCtl(13, "public-access", "public-access", "get", name) // MinIO takes the removal of a block for that of the bucket
		m.failsCtl(13, "public-access", "public-access", "delete", name)
		s.boto(t, "head_bucket", map[string]any{"Bucket": name}, nil)
	})
}

func TestCtlACLs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.make-bucket")
		m := newMount(t, mountOptions{store: s, source: "s3://"})
		name := newName()
		m.failsCtl(2, `acl is "public"; want one of private`, "bucket", "create", "--acl", "public", name)
		if s.name == "minio" {
			m.failsCtl(13, "is not known to have ACLs of buckets", "bucket", "create", "--acl", "public-read", name)
			if slices.Contains(s.bucketNames(t), name) {
				t.Error("the bucket was made nevertheless")
			}
			m.mustCtl("bucket", "create", "--acl", "private", name)
			m.failsCtl(13, "is not known to have ACLs of buckets", "acl", "get", name)
			return
		}
		granted := func(want string) {
			t.Helper()
			if out := m.mustCtl("acl", "get", name); out != want+"\n" {
				t.Errorf("acl get says %q, want %s", out, want)
			}
			var reply struct{ Grants []struct{ Permission string } }
			s.boto(t, "get_bucket_acl", map[string]any{"Bucket": name}, &reply)
			if n := map[string]int{"private": 1, "public-read": 2, "public-read-write": 3}[want]; len(reply.Grants) != n {
				t.Errorf("%s: the other client sees %+v", want, reply)
			}
			if !slices.Contains(strings.Fields(m.mustCtl("bucket", "show", name)), map[bool]string{true: "no", false: "yes"}[want == "private"]) {
				t.Errorf("%s: bucket show says something else", want)
			}
		}
		m.mustCtl("bucket", "create", "--acl", "public-read", name)
		granted("public-read")
		one := newMount(t, mountOptions{store: s, source: "s3://" + name})
		one.agrees("public-read", name)
		m.mustCtl("acl", "set", name, "public-read-write")
		granted("public-read-write")
		one.agrees("public-read-write", name)
		one.mustCtl("policy", "set", ".", documentFile(t, `{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::`+name+`/pub/*"}}`))
		one.agrees("an ACL and a policy against it", name)
		m.mustCtl(m.bare("acl", "set", "s3://"+name, "private")...)
		granted("private")
		one.agrees("private", name)
		m.failsCtl(2, "", "acl", "set", name, "authenticated-read")
		m.failsCtl(13, "is not known to have ACLs of objects", "acl", "get", m.in(name+"/f"))
		plain := s.newBucket(t)
		m.failsCtl(13, "--allow-acls lets it have some", "acl", "set", plain, "public-read")
		m.mustCtl("acl", "set", "--allow-acls", plain, "public-read")
		var owners struct {
			OwnershipControls struct {
				Rules []struct{ ObjectOwnership string }
			}
		}
		s.boto(t, "get_bucket_ownership_controls", map[string]any{"Bucket": plain}, &owners)
		if r := owners.OwnershipControls.Rules; len(r) != 1 || r[0].ObjectOwnership != "BucketOwnerPreferred" {
			t.Errorf("%+v", owners)
		}
	})
}

func TestCtlCDN(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.cdn")
		bucket := s.newBucket(t)
		const odd = "pub/a+b 100%/\u00fc#?.txt"
		for _, key := range []string{odd, "private", "one.txt"} {
			s.put(t, bucket, key, []byte(key))
		}
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		address := func(args ...string) string { return strings.TrimSuffix(m.mustCtl(args...), "\n") }
		base := address("cdn", "enable", "pub")
		if base != s.endpoint+"/"+bucket+"/pub/" {
			t.Errorf("the directory is at %q", base)
		}
		file := address("cdn", "url", "--check", odd)
		if !strings.HasPrefix(file, base) || strings.ContainsAny(strings.TrimPrefix(file, base), "+ #?") {
			t.Errorf("%q is at %q", odd, file)
		}
		if got := fetch(t, file, 200); string(got) != odd {
			t.Errorf("%s is %q", file, got)
		}
		if bare := strings.TrimSpace(m.mustCtl(m.bare("cdn", "url", "s3://"+bucket+"/"+odd)...)); bare != file {
			t.Errorf("without the mount it is at %q", bare)
		}
		fetch(t, address("cdn", "url", "private"), 403)
		if a := m.failsCtl(4, "answers 403 Forbidden to a request without credentials", "cdn", "url", "--check", "private"); !strings.HasPrefix(a.out, s.endpoint) {
			t.Errorf("%+v", a)
		}
		fetch(t, s.endpoint+"/"+bucket+"?list-type=2&prefix=pub/", 403)
		fetch(t, address("cdn", "enable", "one.txt"), 200)
		m.mustCtl("cdn", "enable", "--dry-run", ".")
		fetch(t, address("cdn", "url", "private"), 403)
		fetch(t, address(m.bare("cdn", "enable", "s3://"+bucket)...)+"private", 200)
		m.mustCtl("cdn", "disable", ".")
		fetch(t, address("cdn", "url", "private"), 403)
		fetch(t, file, 200)
		m.mustCtl("cdn", "disable", "pub")
		fetch(t, file, 403)
		fetch(t, address("cdn", "url", "one.txt"), 200)
		m.mustCtl("cdn", "disable", "one.txt")
		fetch(t, address("cdn", "url", "one.txt"), 403)
		s.hasDocument(t, "get_bucket_policy", bucket, "")
	})
}

// TestPublicURLOfTheConfiguration: the base that the configuration names is what the attribute and the command tell, and what is checked.
func TestPublicURLOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	covers(t, s, "ctl.cdn", "xattr.public-url")
	bucket := s.newBucket(t)
	s.put(t, bucket, "web/a b+\u00fc.html", []byte("x"))
	s.put(t, bucket, "other", []byte("x"))
	var asked []string
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
	}))
	defer cdn.Close()
	text := fmt.Sprintf(`
default-remote = "store"
[remote.store]
public-url = "%s/{bucket}"
[[remote.store.prefix]]
path = "*/web/"
public-url = "%[1]s/pages"
`, cdn.URL)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: configured(t, text)})
	for _, test := range []struct{ path, want string }{
		{"web/a b+\u00fc.html", "/pages/a%20b%2B%C3%BC.html"}, {"other", "/" + bucket + "/other"}, {"web", "/pages/"}, {".", "/" + bucket + "/"},
	} {
		for _, args := range [][]string{{"cdn", "url", m.in(test.path)}, m.bare("cdn", "url", "s3://"+path.Join(bucket, test.path)), {"cdn", "enable", "--dry-run", m.in(test.path)}} {
			if got := strings.TrimSpace(m.mustCtl(args...)); got != cdn.URL+test.want {
				t.Errorf("%q: %q, want %q", args, got, cdn.URL+test.want)
			}
		}
	}
	w := inMount(t, m)
	if got := w.xattr("web/a b+\u00fc.html", "user.s3.public-url"); got != cdn.URL+"/pages/a%20b%2B%C3%BC.html" {
		t.Errorf("the attribute is %q", got)
	}
	m.mustCtl("cdn", "url", "--check", m.in("web/a b+\u00fc.html"))
	if !slices.Equal(asked, []string{"HEAD /pages/a b+\u00fc.html"}) {
		t.Errorf("asked were %q", asked)
	}
}
