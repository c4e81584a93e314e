package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// listings are answers as servers write them.
var listings = map[string]string{
	"VersityGW": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>` +
		`<Contents><ETag>&#34;0123-2&#34;</ETag><Key>a+b%2Fc</Key><LastModified>2026-11-21T15:58:23.000Z</LastModified><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>` +
		`<Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><Name>bucket</Name>` +
		`<NextContinuationToken>d/</NextContinuationToken><Prefix></Prefix></ListBucketResult>`,
	"MinIO": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix/><KeyCount>1</KeyCount>` +
		`<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>2026-11-21T15:58:23.123Z</LastModified>` +
		`<ETag>&#34;0123&#34;</ETag><Size>0</Size><Owner><ID>02d6</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>` +
		`<EncodingType>url</EncodingType></ListBucketResult>`,
	"Ceph": `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>` +
		`<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>2026-11-21T15:58:23.123Z</LastModified><ETag>&quot;0123&quot;</ETag>` +
		`<Size>1</Size><StorageClass>STANDARD</StorageClass><Owner><ID>test</ID><DisplayName>test</DisplayName></Owner><Type>Normal</Type></Contents><Marker></Marker></ListBucketResult>`,
	"Swift": `<?xml version='1.0' encoding='UTF-8'?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix/><KeyCount>1</KeyCount>` +
		`<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>2026-11-21T15:58:23.000Z</LastModified>` +
		`<ETag>"0123"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`,
	"raw names, indented": "<ListBucketResult>\n  <IsTruncated>false</IsTruncated>\n  <Contents>\n\t<Key>über &amp; &lt;x&gt; ]] '</Key>\n  </Contents>\n</ListBucketResult>\n",
	"nothing":             `<ListBucketResult></ListBucketResult>`,
}

func decoded(text string) (*listing, error) {
	l := new(listing)
	err := xml.Unmarshal([]byte(text), l)
	l.XMLName = xml.Name{} // the scanner does not set it
	return l, err
}

// same reports how the scanner's result differs from that of encoding/xml.
func same(quick, slow *listing) string {
	if len(quick.Contents) == 0 {
		quick.Contents = nil
	}
	return cmp.Diff(slow, quick)
}

// TestListingsAreReadQuickly: what servers write is not left to encoding/xml, and means the same.
func TestListingsAreReadQuickly(t *testing.T) {
	t.Parallel()
	for name, text := range listings {
		quick, ok := (&scanner{text: []byte(text)}).listing()
		if !ok {
			t.Errorf("%s: the scanner gives up", name)
			continue
		}
		slow, err := decoded(text)
		if diff := same(quick, slow); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestScannerIsRight: whatever the scanner accepts, encoding/xml accepts and understands alike.
func TestScannerIsRight(t *testing.T) {
	t.Parallel()
	pieces := []string{"<", ">", "/", "&", ";", "&lt;", "&#34;", "&#x26;", "&nbsp;", "]]>", "<!--", "-->", "<![CDATA[", "]]>", "<?x ?>", " ", "\n", "\r", "\t", "\x01", "\x00",
		"'", `"`, "=", ` xmlns="u"`, ` a="1"`, ` a='>'`, "x:", "Key", "<Key>", "</Key>", "<Key/>", "<Contents>", "</Contents>", "<Contents/>", "<Owner>", "</Owner>", "<a>", "</a>",
		"<CommonPrefixes>", "<ListBucketResult>", "</ListBucketResult>", "true", "ü", "\xff", "\uFFFE", "\uFFFF", "\uFFFD", "e", "9", "utf-8", "latin1"}
	var whole []string
	for _, text := range listings {
		whole = append(whole, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(whole).Draw(t, "answer")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			to := rapid.IntRange(at, min(len(text), at+rapid.SampledFrom([]int{0, 0, 1, 6, 40}).Draw(t, "cut"))).Draw(t, "to")
			text = text[:at] + rapid.SampledFrom(pieces).Draw(t, "piece") + text[to:]
		}
		quick, ok := (&scanner{text: []byte(text)}).listing()
		if !ok {
			return
		}
		slow, err := decoded(text)
		if err != nil {
			t.Fatalf("accepted, but %v:\n%s", err, text)
		}
		if diff := same(quick, slow); diff != "" {
			t.Fatalf("%s\n%s", text, diff)
		}
	})
}

// TestBrokenListings: an answer that breaks off, or is none, is asked for again, and is never
// taken for a short listing.
func TestBrokenListings(t *testing.T) {
	t.Parallel()
	good := listings["VersityGW"]
	for name, bad := range map[string]string{
		"cut":               good[:len(good)/2],
		"empty":             "",
		"an error":          `<Error><Code>InternalError</Code></Error>`,
		"another":           `<html><body>Welcome</body></html>`,
		"a bad size":        strings.Replace(good, "<Size>5<", "<Size>many<", 1),
		"a bad time":        strings.Replace(good, "2026-11", "yesterday", 1),
		"a bad escape":      strings.Replace(good, "%2F", "%zz", 1),
		"shorter than said": "short",
	} {
		store, f := newFake(t, Config{}, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				if name == "shorter than said" {
					w.Header().Set("Content-Length", "1000")
				}
				io.WriteString(w, bad)
				return
			}
			io.WriteString(w, good)
		})
		page, err := store.List(t.Context(), backend.ListInput{Bucket: "bucket"})
		if err != nil || len(page.Objects) != 1 || page.Objects[0].Key != "a b/c" || len(f.requests()) != 2 {
			t.Errorf("%s: %+v, %v after %d requests", name, page, err, len(f.requests()))
		}
	}
}

// TestManyKeysToSwift: it gets few keys at once.
func TestManyKeysToSwift(t *testing.T) {
	t.Parallel()
	store, f := asSwift(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<DeleteResult><Error><Key>key 70</Key><Code>AccessDenied</Code></Error></DeleteResult>`)
	})
	var keys []string
	for i := range 120 {
		keys = append(keys, fmt.Sprint("key ", i))
	}
	results, err := store.DeleteMany(t.Context(), "bucket", keys)
	if err != nil || len(results) != len(keys) || !backend.IsKind(results[70].Err, backend.KindPermission) || results[71].Err != nil {
		t.Errorf("%v, %v", err, results[70:72])
	}
	seen := 0
	for _, r := range f.requests()[1:] {
		n := strings.Count(r.body, "<Object>")
		if seen += n; n > 50 || n == 0 {
			t.Errorf("%d keys at once", n)
		}
	}
	if seen != len(keys) {
		t.Errorf("%d keys were sent, want %d", seen, len(keys))
	}
}

func BenchmarkListing(b *testing.B) {
	var text strings.Builder
	text.WriteString(`<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>`)
	for i := range 1000 {
		fmt.Fprintf(&text, `<Contents><ETag>&#34;0123456789abcdef0123456789abcdef&#34;</ETag><Key>dir/file-%d.txt</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>`+
			`<Size>12345</Size><StorageClass>STANDARD</StorageClass><Owner><ID>abc</ID><DisplayName>x</DisplayName></Owner></Contents>`, i)
	}
	text.WriteString(`</ListBucketResult>`)
	b.ReportAllocs()
	for b.Loop() {
		l, err := parseListing([]byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		if page, err := l.page("bucket"); err != nil || len(page.Objects) != 1000 {
			b.Fatal(err)
		}
	}
}
