package backendtest

import (
	"fmt"

	"github.com/objmount/objmount/backend"
)

var copyCases = []testCase{
	{name: "KeepsProperties", run: copyKeeps},
	{name: "Replaces", run: copyReplaces},
	{name: "OntoItself", run: copyOntoItself},
	{name: "OverwritesAndIsIndependent", run: copyOverwrites},
	{name: "Empty", run: copyEmpty},
	{name: "Missing", run: copyMissing},
	{name: "OfMultipart", run: copyOfMultipart},
	{name: "Tags", needs: "Tagging", run: copyTags},
}

var deleteCases = []testCase{
	{name: "Twice", run: deleteTwice},
	{name: "Many", needs: "DeleteMany", run: deleteMany},
}

// copy copies between names of the subtest; change may add to the request.
func (e *env) copy(from, to string, change func(*backend.CopyInput)) (backend.Object, error) {
	e.Helper()
	in := backend.CopyInput{Bucket: e.bucket, Key: e.prefix + to, Source: backend.Source{Bucket: e.bucket, Key: e.prefix + from}}
	if change != nil {
		change(&in)
	}
	obj, err := e.store.Copy(e.ctx, in)
	if err == nil {
		e.checkETag(obj.ETag)
	}
	return obj, err
}

func copyKeeps(e *env) {
	data := noise(30, 50_000)
	in := e.input("from", data)
	in.Properties = e.sampleProperties()
	e.putInput(in)
	copied, err := e.copy("from", "to", nil)
	e.ok("Copy", err)
	to := e.wantContent("to", data)
	e.wantMetadata("the copy", to, e.sampleMetadata())
	e.wantHeaders("the copy", to, e.sampleProperties().Headers)
	if to.ETag != copied.ETag {
		e.Errorf("Copy answers ETag %s, Get %s", copied.ETag, to.ETag)
	}
	e.wantContent("from", data)
}

// copyReplaces: all properties are the new ones; nothing is merged.
func copyReplaces(e *env) {
	in := e.input("from", []byte("bytes"))
	in.Properties = e.sampleProperties()
	e.putInput(in)
	replace := backend.Properties{
		Metadata: map[string]string{"plain": "other", "new": "1"},
		Headers:  backend.Headers{ContentType: "image/x-sample", CacheControl: "no-cache"},
	}
	_, err := e.copy("from", "to", func(in *backend.CopyInput) { in.Replace = &replace })
	e.ok("Copy", err)
	to := e.wantContent("to", []byte("bytes"))
	e.wantMetadata("the copy", to, replace.Metadata)
	e.wantHeaders("the copy", to, replace.Headers)
	e.wantMetadata("the source", e.head("from"), e.sampleMetadata())
	_, err = e.copy("from", "bare", func(in *backend.CopyInput) { in.Replace = &backend.Properties{} })
	e.ok("Copy with nothing", err)
	e.wantMetadata("the bare copy", e.head("bare"), map[string]string{})
}

// copyOntoItself is how attributes change.
func copyOntoItself(e *env) {
	data := noise(31, 50_000)
	in := e.input("a", data)
	in.Properties = e.sampleProperties()
	e.putInput(in)
	for i := range 3 {
		properties := backend.PropertiesOf(e.head("a"))
		properties.Metadata["file-permissions"] = fmt.Sprint("010060", i)
		delete(properties.Metadata, "plain")
		copied, err := e.copy("a", "a", func(in *backend.CopyInput) { in.Replace = &properties })
		e.ok("Copy onto itself", err)
		now := e.wantContent("a", data)
		e.wantMetadata("after it", now, properties.Metadata)
		e.wantHeaders("after it", now, e.sampleProperties().Headers)
		if now.ETag != copied.ETag {
			e.Errorf("Copy answers ETag %s, Get %s", copied.ETag, now.ETag)
		}
	}
}

func copyOverwrites(e *env) {
	e.put("from", []byte("one"))
	e.put("to", []byte("something longer"))
	_, err := e.copy("from", "to", nil)
	e.ok("Copy", err)
	e.wantContent("to", []byte("one"))
	e.put("from", []byte("two"))
	e.wantContent("to", []byte("one"))
	e.delete("from")
	e.wantContent("to", []byte("one"))
}

func copyEmpty(e *env) {
	e.put("from", nil)
	_, err := e.copy("from", "to", nil)
	e.ok("Copy", err)
	e.wantContent("to", nil)
}

func copyMissing(e *env) {
	was := e.put("to", []byte("stays"))
	_, err := e.copy("none", "to", nil)
	e.wantKind("Copy of nothing", err, backend.KindNotExist)
	e.wantUntouched("to", "stays", was)
}

func copyOfMultipart(e *env) {
	first, tail := noise(32, e.partSize()), noise(33, 1000)
	e.upload("from", backend.Condition{}, first, tail)
	copied, err := e.copy("from", "to", func(in *backend.CopyInput) {
		in.Size = int64(len(first) + len(tail))
		if e.caps.CopySourceIfMatch {
			in.Source.ETag = e.head("from").ETag
		}
	})
	e.ok("Copy", err)
	if to := e.wantContent("to", append(first, tail...)); to.ETag != copied.ETag {
		e.Errorf("Copy answers ETag %s, Get %s", copied.ETag, to.ETag)
	}
}

// copyTags: a replacement has the tags that it names, and no others.
func copyTags(e *env) {
	in := e.input("from", []byte("x"))
	in.Properties.Tags = map[string]string{"one": "1", "two": "2"}
	e.putInput(in)
	for name, tags := range map[string]map[string]string{"none": nil, "one": {"three": "3"}} {
		_, err := e.copy("from", name, func(in *backend.CopyInput) { in.Replace = &backend.Properties{Tags: tags} })
		e.ok("Copy", err)
		if got := e.wantContent(name, []byte("x")).TagCount; got != len(tags) && got != -1 {
			e.Errorf("%s: %d tags, want %d", name, got, len(tags))
		}
	}
}

func deleteTwice(e *env) {
	e.put("a", []byte("x"))
	e.put("ab", []byte("stays"))
	e.delete("a")
	e.wantGone("a")
	e.delete("a")
	e.delete("never there")
	e.wantContent("ab", []byte("stays"))
}

func (e *env) wantResults(results []backend.DeleteResult, keys []string) {
	e.Helper()
	if len(results) != len(keys) {
		e.Fatalf("%d results for %d keys", len(results), len(keys))
	}
	for i, r := range results {
		if r.Key != keys[i] || r.Err != nil {
			e.Errorf("result %d: %q %v, want %q", i, r.Key, r.Err, keys[i])
		}
	}
}

func deleteMany(e *env) {
	var keys []string
	for _, name := range []string{"z", "a", "never there", "dir/", "dir/x", "m"} {
		if name != "never there" {
			e.put(name, nil)
		}
		keys = append(keys, e.prefix+name)
	}
	e.put("stays", nil)
	results, err := e.store.DeleteMany(e.ctx, e.bucket, keys)
	e.ok("DeleteMany", err)
	e.wantResults(results, keys)
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("left", names, []string{"stays"})
}
