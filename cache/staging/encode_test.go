package staging

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// TestRecordsKeepEverything fills every field of what is journalled, so that a field that is added
// to the vocabulary and not to the encoding is noticed.
func TestRecordsKeepEverything(t *testing.T) {
	t.Parallel()
	var spec Spec
	n := 0
	fill(reflect.ValueOf(&spec).Elem(), &n)
	spec.Target.Key = "bytes \xff\x00/"
	want := content{
		state: StateSealed, generation: "g", spec: spec, size: 30, tail: 99, first: 7,
		extents: []Extent{
			{Len: 10, Local: true, Pos: 5}, {Off: 10, Len: 5}, {Off: 15, Len: 10, Object: spec.Content, ObjectOff: 3},
			{Off: 25, Len: 5, Local: true, Pos: 50, Object: &Remote{Source: backend.Source{Key: "o"}, Size: 1}, ObjectOff: 1},
		},
	}
	payload := want.encode()
	got, err := decodeContent(payload)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(content{})); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for i := range payload { // never a panic, and a cut record is not taken for a whole one
		if _, err := decodeContent(payload[:i]); err == nil {
			t.Fatalf("%d of %d bytes were understood", i, len(payload))
		}
	}
	empty, err := decodeContent(content{spec: Spec{Properties: backend.Properties{Metadata: map[string]string{}}}}.encode())
	if err != nil || empty.spec.Properties.Metadata == nil || empty.spec.Properties.Tags != nil {
		t.Fatal("nil and empty maps are mixed up: ", err)
	}
}

// TestRecordsOfOlderJournals reads properties as they were written before objects had locks: the byte after
// the strings was 0 or 1, and nothing followed the tags.
func TestRecordsOfOlderJournals(t *testing.T) {
	t.Parallel()
	for _, bucketKey := range []bool{false, true} {
		want := Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}, Condition: backend.Condition{IfMatch: "e"}}
		want.Properties.Headers.ContentType = "text/plain"
		want.Properties.Encryption.BucketKey = bucketKey
		want.Properties.Metadata = map[string]string{"a": "1"}
		want.Properties.Tags = map[string]string{"t": "v"}
		var e encoder
		e.object(want.Target)
		e.string(want.Condition.IfMatch)
		e.bool(false)
		e.remote(nil)
		e.string("text/plain")
		for range 9 {
			e.string("")
		}
		e.bool(bucketKey)
		e.stringMap(want.Properties.Metadata)
		e.stringMap(want.Properties.Tags)
		d := decoder{b: e.b}
		got := d.spec()
		if err := d.done(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	d := decoder{b: []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00")}
	if d.properties(); d.done() == nil {
		t.Error("a flag that nobody knows was understood")
	}
}

// fill sets every field to something of its own.
func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2030, 1, 2, 3, 4, 5, *n, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(strings.Repeat("s", *n))
	case reflect.Int64, reflect.Int32, reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": strings.Repeat("m", *n), "b": ""}))
	default:
		panic("fill " + v.Kind().String())
	}
}
