package s3

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// putBytes stores an object without properties.
func putBytes(t *testing.T, store *Store, bucket, key string, content []byte) backend.ObjectID {
	t.Helper()
	if _, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: key, Body: bytes.NewReader(content), Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	return backend.ObjectID{Bucket: bucket, Key: key}
}

// rowsOf runs a query.
func rowsOf(ctx context.Context, store *Store, in backend.SelectInput) (string, backend.SelectStats, error) {
	var out strings.Builder
	stats, err := store.Select(ctx, in, &out)
	return out.String(), stats, err
}

// TestSelectOnServers: rows of every format, and what comes of a query that cannot be.
func TestSelectOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		const table = "a;b\n1;x\n#2;no\n3;\"z;z\"\n"
		id := putBytes(t, store, bucket, "table", []byte(table))
		csv := backend.SelectInput{Object: id, Expression: "SELECT s.b FROM S3Object s WHERE s.a > 1", Input: "CSV", Header: "USE",
			Delimiter: ";", Comment: "#", Output: "JSON"}
		if srv.name != vendorMinIO {
			if _, _, err := rowsOf(t.Context(), store, csv); !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("a store without queries: %v", err)
			}
			store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: id.Key})
			return
		}
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		io.WriteString(z, "{\"n\":1}\n{\"n\":2}\n")
		z.Close()
		columns, err := os.ReadFile("testdata/rows.parquet")
		if err != nil {
			t.Fatal(err)
		}
		lines, parquet := putBytes(t, store, bucket, "lines.gz", zipped.Bytes()), putBytes(t, store, bucket, "parquet", columns)
		document := putBytes(t, store, bucket, "document", []byte(`{"items":[{"n":1},{"n":2}]}`))
		for name, test := range map[string]struct {
			in   backend.SelectInput
			want string
		}{
			"CSV":       {csv, "{\"b\":\"z;z\"}\n"},
			"JSON":      {backend.SelectInput{Object: lines, Expression: "SELECT s.n FROM S3Object s WHERE s.n = 2", Input: "json", Lines: true, Compression: "gzip", Output: "CSV"}, "2\n"},
			"documents": {backend.SelectInput{Object: document, Expression: "SELECT s.n FROM S3Object[*].items[*] s", Input: "JSON", Output: "CSV"}, "1\n2\n"},
			"Parquet":   {backend.SelectInput{Object: parquet, Expression: "SELECT s.name, s.n FROM S3Object s WHERE s.n >= 2", Input: "Parquet", Output: "CSV", OutputDelimiter: "|"}, "two|2\nthree|3\n"},
			"header":    {backend.SelectInput{Object: id, Expression: "SELECT _1 FROM S3Object LIMIT 1", Input: "CSV", Header: "NONE", Delimiter: ";", Output: "CSV"}, "a\n"},
		} {
			got, stats, err := rowsOf(t.Context(), store, test.in)
			if err != nil || got != test.want || stats.Returned != int64(len(test.want)) || stats.Scanned == 0 || stats.Processed == 0 {
				t.Errorf("%s: %q, %+v, %v", name, got, stats, err)
			}
		}
		for name, change := range map[string]func(*backend.SelectInput){
			"not SQL":     func(in *backend.SelectInput) { in.Expression = "SELEC x" },
			"no function": func(in *backend.SelectInput) { in.Expression = "SELECT foo(s.a) FROM S3Object s" },
			"no number":   func(in *backend.SelectInput) { in.Expression = "SELECT CAST(s.b AS INT) FROM S3Object s" },
			"not zipped":  func(in *backend.SelectInput) { in.Compression = "GZIP" },
			"not JSON":    func(in *backend.SelectInput) { in.Input = "JSON" },
			"no format":   func(in *backend.SelectInput) { in.Input = "XML" },
			"no output":   func(in *backend.SelectInput) { in.Output = "XML" },
		} {
			in := csv
			change(&in)
			_, _, err := rowsOf(t.Context(), store, in)
			var e *backend.Error
			if !errors.As(err, &e) || e.Kind != backend.KindInvalid || e.Message == "" && e.Err == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		missing := csv
		missing.Object.Key = "none"
		if _, _, err := rowsOf(t.Context(), store, missing); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("of nothing: %v", err)
		}
		for _, key := range []string{id.Key, lines.Key, parquet.Key, document.Key} {
			store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: key})
		}
	})
}

// TestSelectEndsOnServers: rows come as they are found, and a query ends with its context, or
// with the reader of its rows.
func TestSelectEndsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if srv.name != vendorMinIO {
			t.Skip("a store without queries")
		}
		id := putBytes(t, store, bucket, "big", bytes.Repeat([]byte("0123456789,0123456789\n"), 1<<20))
		in := backend.SelectInput{Object: id, Expression: "SELECT * FROM S3Object", Input: "CSV", Output: "CSV"}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := store.Select(ctx, in, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })); !backend.IsKind(err, backend.KindCanceled) {
			t.Errorf("canceled: %v", err)
		}
		closed := errors.New("closed")
		if _, err := store.Select(t.Context(), in, writerFunc(func([]byte) (int, error) { return 0, closed })); !errors.Is(err, closed) {
			t.Errorf("nobody reads: %v", err)
		}
		n := int64(0)
		stats, err := store.Select(t.Context(), in, writerFunc(func(p []byte) (int, error) { n += int64(len(p)); return len(p), nil }))
		if err != nil || n != 22<<20 || stats.Returned != n {
			t.Errorf("%d bytes, %+v, %v", n, stats, err)
		}
		store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: id.Key})
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
