package main

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want source
		show string
	}{
		{"s3://", source{}, "s3://"},
		{"s3://b", source{"", "b", ""}, "s3://b"},
		{"s3://b/", source{"", "b", ""}, "s3://b"},
		{"s3://b/p", source{"", "b", "p/"}, "s3://b/p/"},
		{"s3://b/p/", source{"", "b", "p/"}, "s3://b/p/"},
		{"s3://Old_Bucket.name/p", source{"", "Old_Bucket.name", "p/"}, "s3://Old_Bucket.name/p/"},
		{"s3://b/what?a#b%20c d/é", source{"", "b", "what?a#b%20c d/é/"}, "s3://b/what?a#b%20c d/é/"},
		{"s3://b/a@b:c", source{"", "b", "a@b:c/"}, "s3://b/a@b:c/"},
		{"minio:", source{"minio", "", ""}, "minio:"},
		{"my-2_nd:b", source{"my-2_nd", "b", ""}, "my-2_nd:b"},
		{"minio:b/p:q", source{"minio", "b", "p:q/"}, "minio:b/p:q/"},
		{"all:", source{"all", "", ""}, "all:"},
	} {
		got, err := parseSource(test.text)
		if err != nil || got != test.want || got.String() != test.show {
			t.Errorf("%q: %+v (%v), want %+v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", "b", "S3://b", "s3:/b", "s3:///", "s3:///p", "s3://b//p", "s3://b/p//", "s3://b/p//q", "s3://.", "s3://../x", "s3://a b", "s3://a:b", "s3://u@b", "s3://b/\x00", "minio:/p", "minio:u@b", "minio:b//p", "Minio:b", "-x:b", ":b", "all:b", "all:/", "s3:b", "http://b", "minio://b", "./minio:b", "s3://b/" + strings.Repeat("x", 1024), "s3://" + strings.Repeat("x", 256)} {
		if got, err := parseSource(text); err == nil || codeOf(err) != exitUsage {
			t.Errorf("%q gives %+v, %v", text, got, err)
		}
	}
}

// TestSourceRoundTrip: what is shown is what was meant, whatever bytes a key has.
func TestSourceRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := scheme + rapid.StringMatching(`[a-z0-9.-]{3,20}`).Draw(t, "bucket") + "/" + rapid.StringOf(rapid.Rune()).Draw(t, "prefix")
		s, err := parseSource(text)
		if err != nil {
			t.Skip()
		}
		again, err := parseSource(s.String())
		if err != nil || again != s {
			t.Fatalf("%q is %+v, shown as %q, read as %+v (%v)", text, s, s, again, err)
		}
		if s.prefix != "" && !strings.HasSuffix(s.prefix, "/") || s.String() != text && s.String() != text+"/" && s.String()+"/" != text {
			t.Fatalf("%q is shown as %q", text, s)
		}
	})
}
