package test

import (
	"strings"
	"testing"
	"time"
)

// foreignUpload is a line of ctl uploads --json.
type foreignUpload struct {
	Key       string    `json:"key"`
	UploadID  string    `json:"upload_id"`
	Initiated time.Time `json:"initiated"`
	Ours      bool      `json:"ours"`
	Aborted   bool      `json:"aborted"`
	Error     string    `json:"error"`
}

// leaveUpload begins a multipart upload as another program does, sends a part, and forgets it.
func (s *store) leaveUpload(t testing.TB, bucket, key string) (id string) {
	t.Helper()
	var made struct {
		UploadID string `json:"UploadId"`
	}
	s.boto(t, "create_multipart_upload", map[string]any{"Bucket": bucket, "Key": key}, &made)
	s.boto(t, "upload_part", map[string]any{"Bucket": bucket, "Key": key, "UploadId": made.UploadID, "PartNumber": 1, "Body": botoBytes([]byte("a part"))}, nil)
	return made.UploadID
}

// partsOf counts the parts of an upload as the other client sees them; -1: there is no such upload.
func (s *store) partsOf(bucket, key, id string) int {
	var list struct {
		Parts []struct{}
	}
	if err := s.tryBoto("list_parts", map[string]any{"Bucket": bucket, "Key": key, "UploadId": id}, &list); err != nil {
		return -1
	}
	return len(list.Parts)
}

// TestCtlUploads: uploads that other programs left are listed and aborted by age, by id and by place; the one that the mount is about stays,
// and ends as if nobody had asked.
func TestCtlUploads(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		orphans := map[string]string{}
		for _, key := range []string{"d/left", "d/e/left", "other"} {
			orphans[key] = s.leaveUpload(t, bucket, key)
		}
		p := newProxy(t, s)
		p.on(&rule{hold: make(chan struct{}), match: func(operation, path string) bool {
			return operation == "UploadPart" && strings.HasSuffix(path, "/mine")
		}})
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=background"}})
		data := bytesOf(7, 40<<20)
		write(t, m.in("d/mine"), string(data))
		list := func(place string) map[string]foreignUpload {
			t.Helper()
			found := map[string]foreignUpload{}
			for _, up := range jsonLines[foreignUpload](t, m.mustCtl("uploads", "list", "--json", place)) {
				found[up.Key] = up
			}
			return found
		}
		for deadline := time.Now().Add(time.Minute); !list("d")["d/mine"].Ours; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the mount begins no upload")
			}
		}

		all := list(".")
		if len(all) != 4 {
			t.Fatalf("%+v", all)
		}
		for key, id := range orphans {
			if up := all[key]; up.UploadID != id || up.Ours || time.Since(up.Initiated).Abs() > time.Hour {
				t.Errorf("%s: %+v, want %s", key, up, id)
			}
		}
		if below := list("d"); len(below) != 3 {
			t.Errorf("below d: %+v", below)
		}
		m.failsCtl(2, "give one of --older-than and --upload-id", "uploads", "abort", "--yes", ".")
		m.failsCtl(2, "--yes is needed", "uploads", "abort", "--older-than=0s", ".")
		m.failsCtl(1, "no unfinished upload with the id nonsense", "uploads", "abort", "--yes", "--upload-id=nonsense", ".")
		if text := m.mustCtl("uploads", "abort", "--yes", "--older-than=1h", "."); text != "" {
			t.Errorf("young ones: %s", text)
		}
		if text := m.mustCtl("uploads", "abort", "--dry-run", "--older-than=0s", "d/left"); !strings.Contains(text, "would be aborted: "+orphans["d/left"]) {
			t.Errorf("dry run: %s", text)
		}
		if left := list("."); len(left) != 4 {
			t.Fatalf("nothing was to be aborted yet: %+v", left)
		}
		m.mustCtl("uploads", "abort", "--yes", "--upload-id="+orphans["other"], ".")
		if n := s.partsOf(bucket, "other", orphans["other"]); n != -1 {
			t.Errorf("the other client sees %d parts of an upload that was aborted", n)
		}
		time.Sleep(1100 * time.Millisecond) // stores tell the begin in whole seconds
		m.failsCtl(12, "1 upload was not aborted", "uploads", "abort", "--yes", "--older-than=0s", "d")
		if left := list("."); len(left) != 1 || !left["d/mine"].Ours {
			t.Errorf("left: %+v", left)
		}
		m.failsCtl(10, "this mount goes on with it", "uploads", "abort", "--yes", "--upload-id="+all["d/mine"].UploadID, ".")
		p.clear()
		m.mustCtl("flush", ".")
		if got := s.get(t, bucket, "d/mine"); string(got) != string(data) {
			t.Error("the store has other bytes of the file whose upload was under way")
		}
		m.unmount()
	})
}

// TestCtlFlushTellsHowFar: flush says how many bytes of all are done, as JSON and in lines for a log, and prefetch does so too.
func TestCtlFlushTellsHowFar(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	hold := func(operation string) { // until it is said how far it is
		p.on(&rule{hold: make(chan struct{}), match: func(o, path string) bool {
			return o == operation && strings.Contains(path, "/d/") && !strings.HasSuffix(path, "/")
		}})
	}
	hold("PutObject")
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=background"}})
	type line struct {
		Progress *struct {
			Done, Bytes, Total, All int64
			Doing, Now              string
		}
		Result *struct{ Done, Bytes int64 }
	}
	told := func(doing string, args ...string) {
		t.Helper()
		a := m.ctlNoticed(`"`+doing+`"`, p.clear, args...)
		if a.code != 0 {
			t.Fatalf("%s: %+v", doing, a)
		}
		lines := jsonLines[line](t, a.out)
		var steps int
		for _, l := range lines {
			if at := l.Progress; at != nil && at.Doing == doing {
				steps++
				if at.Total != 3*1000 || at.All != 3 || at.Bytes > at.Total || !strings.HasPrefix(at.Now, "d/") && at.Now != "" {
					t.Errorf("%s: %+v", doing, *at)
				}
			}
		}
		if last := lines[len(lines)-1].Result; steps == 0 || last == nil || last.Done != 3 || last.Bytes != 3000 {
			t.Errorf("%s: %d steps, and in the end %+v\n%s", doing, steps, last, a.out)
		}
	}
	fill := func() {
		for _, name := range []string{"d/a", "d/b", "d/c"} {
			write(t, m.in(name), strings.Repeat("x", 1000))
		}
	}
	fill()
	told("uploading", "flush", "--json", ".")
	p.on(&rule{latency: 800 * time.Millisecond, match: operations("GetObject")})
	m.mustCtl("cache", "evict", ".")
	told("fetching", "cache", "prefetch", "--json", "d")
	hold("PutObject")
	fill()
	if a := m.ctlNoticed("uploading: ", p.clear, "flush", "."); a.code != 0 || !strings.Contains(a.problems, "uploading: ") || !strings.Contains(a.problems, " of 2.9 KiB, ") || !strings.Contains(a.out, "3 files (2.9 KiB) stored") {
		t.Errorf("in lines: %+v", a)
	}
	m.unmount()
}
