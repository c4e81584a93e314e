package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

var versionListCases = []testCase{
	{name: "Order", needs: "Versioned", run: versionOrder},
	{name: "EveryPageSize", needs: "Versioned", run: versionPages},
	{name: "Delimiter", needs: "Versioned", run: versionPrefixes},
	{name: "Markers", needs: "Versioned", run: versionMarkers},
	{name: "PagesOfWhatGoes", needs: "Versioned", run: versionPagesOfWhatGoes},
	{name: "SpecialNames", needs: "Versioned", run: versionsOfSpecialNames},
	{name: "NoVersions", run: versionsOfPlainBucket},
	{name: "Nothing", run: versionsOfNothing},
}

// versions lists all below prefix+in.Prefix: "name version-id", with what else is said of it,
// and common prefixes, both without the subtest's prefix. It fails on pages that are wrong in
// themselves; each, unless nil, is called with every page.
func (e *env) versions(in backend.ListVersionsInput, each func(backend.VersionPage)) (list, prefixes []string) {
	e.Helper()
	in.Bucket, in.Prefix = e.bucket, e.prefix+in.Prefix
	if in.KeyMarker != "" {
		in.KeyMarker = e.prefix + in.KeyMarker
	}
	for pages := 0; ; pages++ {
		page, err := e.store.ListVersions(e.ctx, in)
		e.optional("ListVersions", err)
		if n := len(page.Versions) + len(page.Prefixes); in.MaxKeys > 0 && n > int(in.MaxKeys) {
			e.Fatalf("a page of %d entries, want at most %d", n, in.MaxKeys)
		}
		for _, v := range page.Versions {
			list = append(list, e.entry(in, v))
		}
		for _, p := range page.Prefixes {
			if in.Delimiter == "" || !strings.HasSuffix(p, in.Delimiter) {
				e.Fatalf("common prefix %q with delimiter %q", p, in.Delimiter)
			}
			prefixes = append(prefixes, strings.TrimPrefix(p, e.prefix))
		}
		if each != nil {
			each(page)
		}
		if !page.More {
			return list, prefixes
		}
		if pages > 5000 {
			e.Fatal("the listing does not end")
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// entry checks what every entry of a listing has, and shortens it.
func (e *env) entry(in backend.ListVersionsInput, v backend.Version) string {
	e.Helper()
	name, found := strings.CutPrefix(v.Key, e.prefix)
	if !found || !strings.HasPrefix(v.Key, in.Prefix) || v.Bucket != in.Bucket {
		e.Fatalf("listed %q in %q, want keys that begin with %q in %q", v.Key, v.Bucket, in.Prefix, in.Bucket)
	}
	if v.VersionID == "" || v.LastModified.IsZero() {
		e.Errorf("no version id or no date: %+v", v)
	}
	text := name + " " + v.VersionID
	if v.DeleteMarker {
		if v.ETag != "" || v.Size != 0 {
			e.Errorf("a delete marker with content: %+v", v)
		}
		text += " marker"
	} else {
		e.checkETag(v.ETag)
		text += fmt.Sprint(" ", v.Size)
	}
	if v.Latest {
		text += " latest"
	}
	return text
}

// deleteMarked deletes an object and returns the id of the marker that it leaves.
func (e *env) deleteMarked(name string) string {
	e.Helper()
	e.delete(name)
	page, err := e.store.ListVersions(e.ctx, backend.ListVersionsInput{Bucket: e.bucket, Prefix: e.prefix + name, MaxKeys: 1})
	e.optional("ListVersions", err)
	if len(page.Versions) != 1 || page.Versions[0].Key != e.prefix+name || !page.Versions[0].DeleteMarker || !page.Versions[0].Latest {
		e.Fatalf("after a deletion the first version is %+v", page.Versions)
	}
	return page.Versions[0].VersionID
}

// putHistory writes three keys with versions and markers and returns what a listing shows.
func (e *env) putHistory() []string {
	e.Helper()
	first, second := e.put("a", []byte("1")), e.put("a", []byte("22"))
	marker := e.deleteMarked("a")
	fourth := e.put("a", []byte("4444"))
	other := e.put("a-b", []byte("b"))
	gone := e.put("gone", []byte("gone"))
	goneMarker := e.deleteMarked("gone")
	return []string{
		"a " + fourth.VersionID + " 4 latest", "a " + marker + " marker", "a " + second.VersionID + " 2", "a " + first.VersionID + " 1",
		"a-b " + other.VersionID + " 1 latest",
		"gone " + goneMarker + " marker latest", "gone " + gone.VersionID + " 4",
	}
}

// versionOrder: keys in byte order, versions from the newest on; the same as a HEAD says.
func versionOrder(e *env) {
	want := e.putHistory()
	got, _ := e.versions(backend.ListVersionsInput{}, func(page backend.VersionPage) {
		for _, v := range page.Versions {
			if v.DeleteMarker {
				continue
			}
			obj, err := e.store.Head(e.ctx, v.ID(), backend.GetOptions{VersionID: v.VersionID})
			e.ok("Head of a version", err)
			if obj.ETag != v.ETag || obj.Size != v.Size || obj.VersionID != v.VersionID || obj.LastModified.Unix() != v.LastModified.Unix() || obj.StorageClass != v.StorageClass {
				e.Errorf("listed as\n%+v, Head says\n%+v", v.Object, obj)
			}
		}
	})
	e.wantNames("versions", got, want)
	got, _ = e.versions(backend.ListVersionsInput{Prefix: "a-"}, nil)
	e.wantNames("versions of a prefix", got, want[4:5])
}

func versionPages(e *env) {
	want := e.putHistory()
	for size := int32(1); int(size) <= len(want)+1; size++ {
		got, _ := e.versions(backend.ListVersionsInput{MaxKeys: size}, nil)
		e.wantNames(fmt.Sprint("in pages of ", size), got, want)
	}
}

// versionPrefixes: what is below a delimiter is one entry, also when all of it is deleted.
func versionPrefixes(e *env) {
	one := e.put("b", []byte("1"))
	two := e.put("b", []byte("22"))
	last := e.put("z", []byte("z"))
	e.put("d/x", []byte("x"))
	e.put("d/x", []byte("x"))
	e.put("d/y/z", nil)
	e.put("deleted/x", nil)
	marker := e.deleteMarked("deleted/x")
	want := []string{"b " + two.VersionID + " 2 latest", "b " + one.VersionID + " 1", "z " + last.VersionID + " 1 latest"}
	for size := range int32(6) {
		got, prefixes := e.versions(backend.ListVersionsInput{Delimiter: "/", MaxKeys: size}, nil)
		e.wantNames(fmt.Sprintf("versions, pages of %d", size), got, want)
		e.wantNames(fmt.Sprintf("prefixes, pages of %d", size), prefixes, []string{"d/", "deleted/"})
	}
	got, prefixes := e.versions(backend.ListVersionsInput{Prefix: "d/", Delimiter: "/"}, nil)
	if len(got) != 2 || !slices.Equal(prefixes, []string{"d/y/"}) {
		e.Errorf("inside d/: %q, %q", got, prefixes)
	}
	got, _ = e.versions(backend.ListVersionsInput{Prefix: "deleted/", Delimiter: "/"}, nil)
	if len(got) != 2 || got[0] != "deleted/x "+marker+" marker latest" {
		e.Errorf("inside a directory that is deleted: %q", got)
	}
}

// versionMarkers: a listing begins after a key, a prefix, or one version of a key.
func versionMarkers(e *env) {
	want := e.putHistory()
	id := func(i int) string { return strings.Fields(want[i])[1] }
	for _, c := range []struct {
		key, version string
		after        int // how many entries are left out
	}{
		{"a", id(0), 1}, {"a", id(1), 2}, {"a", id(2), 3}, {"a", id(3), 4}, {"a", "", 4}, {"a-", "", 4}, {"a-b", id(4), 5}, {"gone", id(5), 6}, {"h", "", 7},
	} {
		for _, size := range []int32{0, 1} {
			got, _ := e.versions(backend.ListVersionsInput{KeyMarker: c.key, VersionMarker: c.version, MaxKeys: size}, nil)
			e.wantNames(fmt.Sprintf("after %s %q", c.key, c.version), got, want[c.after:])
		}
	}
	e.put("m/x", nil)
	got, prefixes := e.versions(backend.ListVersionsInput{KeyMarker: "gone", Delimiter: "/"}, nil)
	e.wantNames("after gone", got, nil)
	e.wantNames("prefixes after gone", prefixes, []string{"m/"})
	_, prefixes = e.versions(backend.ListVersionsInput{KeyMarker: "m/", Delimiter: "/"}, nil)
	e.wantNames("prefixes after m/", prefixes, nil)
}

// versionPagesOfWhatGoes: who removes each page before he asks for the next misses nothing.
func versionPagesOfWhatGoes(e *env) {
	want := e.putHistory()
	for i, entry := range want {
		want[i] = strings.Join(strings.Fields(entry)[:2], " ")
	}
	var got []string
	e.versions(backend.ListVersionsInput{MaxKeys: 2}, func(page backend.VersionPage) {
		for _, v := range page.Versions {
			got = append(got, strings.TrimPrefix(v.Key, e.prefix)+" "+v.VersionID)
			e.ok("Delete", e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket, Key: v.Key, VersionID: v.VersionID}))
		}
	})
	e.wantNames("seen", got, want)
	left, _ := e.versions(backend.ListVersionsInput{}, nil)
	e.wantNames("left", left, nil)
}

// versionsOfSpecialNames: special names listed, as places where pages begin, and removed.
func versionsOfSpecialNames(e *env) {
	var ids []backend.VersionID
	var want []string
	for _, name := range slices.Sorted(slices.Values(special)) {
		obj := e.put("names/"+name, []byte(name))
		e.put("dirs/"+name+"/x", nil)
		ids = append(ids, backend.VersionID{Key: obj.Key, VersionID: obj.VersionID})
		want = append(want, fmt.Sprintf("names/%s %s %d latest", name, obj.VersionID, len(name)))
	}
	got, _ := e.versions(backend.ListVersionsInput{Prefix: "names/", MaxKeys: 1}, nil)
	e.wantNames("versions", got, want)
	_, prefixes := e.versions(backend.ListVersionsInput{Prefix: "dirs/", Delimiter: "/", MaxKeys: 1}, nil)
	if len(prefixes) != len(special) || !slices.IsSorted(prefixes) {
		e.Errorf("prefixes: %q", prefixes)
	}
	results, err := e.store.DeleteVersions(e.ctx, e.bucket, ids, false)
	e.optional("DeleteVersions", err)
	e.wantVersionResults(results, ids)
	got, _ = e.versions(backend.ListVersionsInput{Prefix: "names/"}, nil)
	e.wantNames("left", got, nil)
}

// versionsOfPlainBucket: where versions were never kept, an object is its own null version.
func versionsOfPlainBucket(e *env) {
	e.unversioned()
	e.put("a", []byte("1"))
	e.put("a", []byte("22"))
	e.put("d/x", nil)
	e.put("gone", nil)
	e.delete("gone")
	for _, size := range []int32{0, 1} {
		got, prefixes := e.versions(backend.ListVersionsInput{Delimiter: "/", MaxKeys: size}, nil)
		e.wantNames("versions", got, []string{"a null 2 latest"})
		e.wantNames("prefixes", prefixes, []string{"d/"})
	}
	data, body := e.get("a", backend.GetOptions{VersionID: backend.NullVersion})
	e.wantBytes("the null version", data, []byte("22"))
	if body.Object.VersionID != "" {
		e.Errorf("a null version says the version id %q", body.Object.VersionID)
	}
}

func versionsOfNothing(e *env) {
	got, prefixes := e.versions(backend.ListVersionsInput{Delimiter: "/"}, nil)
	e.wantNames("versions", got, nil)
	e.wantNames("prefixes", prefixes, nil)
	_, err := e.store.ListVersions(e.ctx, backend.ListVersionsInput{Bucket: e.beside("objmount-none-")})
	e.wantKind("ListVersions", err, backend.KindNoBucket)
}
