package backend

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawLimits(t *rapid.T) BucketLimits {
	half := rapid.StringMatching(`[a-z0-9][a-z0-9+._-]{0,60}`)
	types := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		sub := half.Draw(t, "sub")
		if rapid.IntRange(0, 3).Draw(t, "all") == 0 {
			sub = "*"
		}
		return half.Draw(t, "kind") + "/" + sub
	}), 0, 12).Draw(t, "types")
	slices.Sort(types)
	l := BucketLimits{Types: slices.Compact(types)}
	if rapid.Bool().Draw(t, "sized") {
		l.FileSize = rapid.Int64Range(1, math.MaxInt64).Draw(t, "size")
	}
	if len(l.Types) == 0 {
		l.Types = nil
	}
	return l
}

// TestLimitsAreKeptInTags: what is written is read again, in characters and lengths that stores take, and other tags stay.
func TestLimitsAreKeptInTags(t *testing.T) {
	t.Parallel()
	value := regexp.MustCompile(`^[a-z0-9+=._:/@ -]{1,256}$`) // S3 API, "Tag"; VersityGW 1.8 and MinIO refuse * and comma
	rapid.Check(t, func(t *rapid.T) {
		l := drawLimits(t)
		others := map[string]string{"cost-centre": "4711", "objmount-allowed-mime-types-x": "1", "objmount": ""}
		before, err := drawLimits(t).SetIn(others)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := l.SetIn(before)
		if err != nil {
			t.Fatal(err)
		}
		back, err := LimitsOf(tags)
		if err != nil || !reflect.DeepEqual(back, l) {
			t.Fatalf("%+v is kept as %q and read as %+v, %v", l, tags, back, err)
		}
		for key, text := range tags {
			if IsLimitTag(key) && !value.MatchString(text) {
				t.Errorf("tag %s=%q", key, text)
			}
		}
		maps.DeleteFunc(tags, func(key, _ string) bool { return IsLimitTag(key) })
		if !maps.Equal(tags, others) {
			t.Errorf("other tags are %q then", tags)
		}
		again, err := ParseTypes(strings.Join(l.Types, ", "))
		if err != nil || !slices.Equal(again, l.Types) {
			t.Errorf("types %q are parsed as %q, %v", l.Types, again, err)
		}
		for _, one := range l.Types {
			if got := strings.Replace(one, "*", "x", 1); !l.Allows(got) || !l.Allows(strings.ToUpper(got)+"; charset=utf-8") {
				t.Errorf("%q does not allow %q", l.Types, got)
			}
		}
	})
}

func TestTypesThatNeedTooManyTagsAreRefused(t *testing.T) {
	t.Parallel()
	var l BucketLimits
	for i := range 20 {
		l.Types = append(l.Types, fmt.Sprintf("%s%02d/%s", strings.Repeat("a", 100), i, strings.Repeat("b", 100)))
	}
	if tags, err := l.Tags(); err == nil || !strings.Contains(err.Error(), "20 content types need more than 9 tags") {
		t.Errorf("%q, %v", tags, err)
	}
}

func TestTypesAreParsed(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"image/*,application/pdf": "application/pdf image/*", " IMAGE/PNG , image/png,": "image/png", "": "", "image/png,*/*": "",
		"image": "error", "*/png": "error", "image/": "error", "a/b c": "error", "image/*x": "error", "a/b!": "error", "a/b;q=1": "error",
		strings.Repeat("a", 128) + "/b": "error",
	} {
		got, err := ParseTypes(list)
		if text := strings.Join(got, " "); (want == "error") != (err != nil) || want != "error" && text != want {
			t.Errorf("%q is %q, %v; want %q", list, text, err, want)
		}
	}
}

// TestTagsOfOthersAreRead: people write the tags by hand, too.
func TestTagsOfOthersAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tags map[string]string
		want BucketLimits
		err  string
	}{
		{map[string]string{"a": "b"}, BucketLimits{}, ""},
		{map[string]string{FileSizeTag: "10"}, BucketLimits{FileSize: 10}, ""},
		{map[string]string{FileSizeTag: "10MiB", TypesTag: "image/"}, BucketLimits{Types: []string{"image/*"}}, `"10MiB"; want a number of bytes`},
		{map[string]string{FileSizeTag: "0"}, BucketLimits{}, "above 0"},
		{map[string]string{FileSizeTag: "-1"}, BucketLimits{}, "above 0"},
		{map[string]string{TypesTag: "image/png  text/CSV", TypesTag + "-3": "image/png"}, BucketLimits{Types: []string{"image/png", "text/csv"}}, ""},
		{map[string]string{TypesTag: "image/png nonsense"}, BucketLimits{Types: []string{"image/png"}}, `"nonsense" is no content type`},
		{map[string]string{TypesTag: " "}, BucketLimits{}, "is empty"},
	} {
		got, err := LimitsOf(c.tags)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %+v, %v; want %+v, %s", c.tags, got, err, c.want, c.err)
		}
	}
}

func TestTypesAreAllowedByAnyOfTheirNames(t *testing.T) {
	t.Parallel()
	l := BucketLimits{Types: []string{"application/gzip", "application/xml", "audio/x-wav", "image/*", "text/csv"}}
	for contentType, want := range map[string]bool{
		"image/png": true, "application/x-gzip": true, "text/xml; charset=utf-8": true, "audio/wave": true, "application/csv": true,
		"text/plain": false, "imagex/png": false, "": false, "application/pdf": false, "image": false,
	} {
		if l.Allows(contentType) != want {
			t.Errorf("%q: allowed is %v", contentType, !want)
		}
	}
	if !(BucketLimits{}).Allows("any/thing") || !(BucketLimits{}).Takes(math.MaxInt64) || (BucketLimits{FileSize: 10}).Takes(11) || !(BucketLimits{FileSize: 10}).Takes(10) {
		t.Error("without limits everything is taken, with one what is not larger")
	}
	for other, name := range typeNames {
		if _, both := typeNames[name]; both || PlainType(other) != name {
			t.Errorf("%s is another name of %s", other, name)
		}
	}
}
