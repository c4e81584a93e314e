package test

import (
	"bytes"
	"compress/gzip"
	"os"
	"strings"
	"testing"
)

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCtlSelect(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "ctl.select")
	bucket := s.newBucket(t)
	parquet, err := os.ReadFile("../backend/s3/testdata/rows.parquet")
	if err != nil {
		t.Fatal(err)
	}
	const people, events = "name,city\nAnn,Oslo\nBob,Rome\nCid,Oslo\n", `{"n":1,"what":"start"}` + "\n" + `{"n":2,"what":"stop"}` + "\n"
	for key, content := range map[string][]byte{
		"people.csv": []byte(people), "people.csv.gz": zipped(t, people), "events.jsonl": []byte(events), "events.jsonl.gz": zipped(t, events),
		"raw": []byte("1;a\n2;b\n"), "doc.json": []byte(`{"rows":[{"n":1},{"n":2}]}`), "rows.parquet": parquet,
	} {
		s.put(t, bucket, key, content)
	}
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	inOslo := "SELECT s.name FROM s3object s WHERE s.city = 'Oslo'"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"people.csv", inOslo}, "Ann\nCid\n"},
		{[]string{"people.csv.gz", inOslo}, "Ann\nCid\n"},
		{[]string{"--json", "people.csv", inOslo}, `{"name":"Ann"}` + "\n" + `{"name":"Cid"}` + "\n"},
		{[]string{"events.jsonl", "SELECT s.what FROM s3object s WHERE s.n > 1"}, `{"what":"stop"}` + "\n"},
		{[]string{"--output", "csv", "events.jsonl.gz", "SELECT s.what FROM s3object s WHERE s.n > 1"}, "stop\n"},
		{[]string{"--output", "csv", "doc.json", "SELECT s.n FROM s3object[*].rows[*] s"}, "1\n2\n"},
		{[]string{"--input", "csv", "--header", "none", "--delimiter", ";", "raw", "SELECT s._2 FROM s3object s"}, "a\nb\n"},
		{[]string{"--output", "csv", "--output-delimiter", "|", "rows.parquet", "SELECT s.name, s.n FROM s3object s WHERE s.n >= 2"}, "two|2\nthree|3\n"},
	} {
		if out := m.mustCtl(append([]string{"select"}, test.args...)...); out != test.want {
			t.Errorf("select %q: %q, want %q", test.args, out, test.want)
		}
	}
	a := m.ctl("select", "--stats", "people.csv", inOslo)
	if a.out != "Ann\nCid\n" || !strings.Contains(a.problems, "objmount: scanned 37 B, processed 37 B, returned 8 B") {
		t.Errorf("with --stats: %+v", a)
	}
	m.failsCtl(2, "people.csv: ", "select", "people.csv", "SELEC nothing")
	m.failsCtl(2, "are one character each", "select", "--delimiter", ";;", "people.csv", inOslo)
	if out := m.mustCtl("select", "--dry-run", "people.csv", inOslo); out != "" {
		t.Errorf("a dry run prints %q", out)
	}
	m.failsCtl(2, "raw has no ending that tells what it holds", "select", "raw", inOslo)
	m.failsCtl(1, "nothing is or was", "select", "none.csv", inOslo)

	// More rows than one message holds, written through the mount and not waited for.
	var rows strings.Builder
	rows.WriteString("a,b\n")
	for range 200_000 {
		rows.WriteString("0123456789,ä\n")
	}
	write(t, m.in("many.csv"), rows.String())
	if out := m.mustCtl("select", "many.csv", "SELECT * FROM s3object"); out != strings.TrimPrefix(rows.String(), "a,b\n") {
		t.Errorf("many rows: %d bytes of %d", len(out), rows.Len()-4)
	}
}

func TestCtlSelectWhereThereIsNone(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	s.put(t, bucket, "people.csv", []byte("name\nAnn\n"))
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	m.failsCtl(13, "does not run queries (S3 Select)", "select", "--dry-run", "people.csv", "SELECT * FROM s3object")
	a := m.failsCtl(13, "does not run queries (S3 Select); read the file instead", "select", "people.csv", "SELECT * FROM s3object")
	if a.out != "" {
		t.Errorf("rows: %q", a.out)
	}
	m.reads("people.csv", "name\nAnn\n")
}
