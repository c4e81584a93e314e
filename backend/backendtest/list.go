package backendtest

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/objmount/objmount/backend"
)

var listCases = []testCase{
	{name: "Empty", run: listEmpty},
	{name: "ByteOrder", run: listOrder},
	{name: "Delimiter", run: listDelimiter},
	{name: "EveryPageSize", run: listPageSizes},
	{name: "ExactlyFullLastPage", run: listFullPage},
	{name: "PrefixesAreNotRepeated", run: listPrefixesOnce},
	{name: "PrefixInsideAName", run: listPrefixInName},
	{name: "StartAfter", run: listStartAfter},
	{name: "Fields", run: listFields},
	{name: "ChangesBetweenPages", run: listChanges},
	{name: "DefaultPage", thousand: true, run: listDefaultPage},
}

// tree is a set of names in byte order that a file system can hold too.
var tree = []string{"A", "a!b", "a-1", "a.txt", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "ab", "b/x/y/z", "c", "é", "日本"}

// level is tree as a listing with "/" shows its top.
var levelNames, levelPrefixes = []string{"A", "a!b", "a-1", "a.txt", "a0", "ab", "c", "é", "日本"}, []string{"a/", "b/"}

func (e *env) putTree() {
	e.Helper()
	for i := range tree { // not in order
		e.put(tree[(i*5+3)%len(tree)], []byte("x"))
	}
}

func listEmpty(e *env) {
	for _, delimiter := range []string{"", "/"} {
		page, err := e.store.List(e.ctx, backend.ListInput{Bucket: e.bucket, Prefix: e.prefix + "none", Delimiter: delimiter})
		e.ok("List", err)
		if len(page.Objects) != 0 || len(page.Prefixes) != 0 || page.Next != "" {
			e.Errorf("delimiter %q: %+v", delimiter, page)
		}
	}
}

func listOrder(e *env) {
	e.putTree()
	if !sort.StringsAreSorted(tree) {
		e.Fatal("the test's own names are not in order")
	}
	_, names, prefixes := e.list(backend.ListInput{})
	e.wantNames("names", names, tree)
	e.wantNames("prefixes", prefixes, nil)
}

func listDelimiter(e *env) {
	e.putTree()
	_, names, prefixes := e.list(backend.ListInput{Delimiter: "/"})
	e.wantNames("names", names, levelNames)
	e.wantNames("prefixes", prefixes, levelPrefixes)
	_, names, prefixes = e.list(backend.ListInput{Prefix: "a/", Delimiter: "/"})
	e.wantNames("names in a/", names, []string{"a/1", "a/3"})
	e.wantNames("prefixes in a/", prefixes, []string{"a/2/"})
	_, names, prefixes = e.list(backend.ListInput{Prefix: "b/x/", Delimiter: "/"})
	e.wantNames("names in b/x/", names, nil)
	e.wantNames("prefixes in b/x/", prefixes, []string{"b/x/y/"})
}

func listPageSizes(e *env) {
	e.putTree()
	for _, size := range []int32{1, 2, 3, 5, int32(len(tree)) - 1, int32(len(tree)) + 1} {
		_, names, prefixes := e.list(backend.ListInput{MaxKeys: size})
		e.wantNames(fmt.Sprint("names, pages of ", size), names, tree)
		e.wantNames("prefixes without a delimiter", prefixes, nil)
		_, names, prefixes = e.list(backend.ListInput{MaxKeys: size, Delimiter: "/"})
		e.wantNames(fmt.Sprint("names of a level, pages of ", size), names, levelNames)
		e.wantNames(fmt.Sprint("prefixes of a level, pages of ", size), prefixes, levelPrefixes)
	}
}

func listFullPage(e *env) {
	e.putTree()
	for _, in := range []backend.ListInput{{MaxKeys: int32(len(tree))}, {MaxKeys: int32(len(levelNames) + len(levelPrefixes)), Delimiter: "/"}} {
		in.Bucket, in.Prefix = e.bucket, e.prefix
		page, err := e.store.List(e.ctx, in)
		e.ok("List", err)
		if n := len(page.Objects) + len(page.Prefixes); n != int(in.MaxKeys) {
			e.Fatalf("delimiter %q: %d entries on the page, want %d", in.Delimiter, n, in.MaxKeys)
		}
		if page.Next == "" {
			continue
		}
		in.Token = page.Next // legal: an empty page follows
		page, err = e.store.List(e.ctx, in)
		e.ok("List", err)
		if len(page.Objects)+len(page.Prefixes) != 0 || page.Next != "" {
			e.Errorf("delimiter %q: after a full last page: %+v", in.Delimiter, page)
		}
	}
}

// listPrefixesOnce: a directory whose keys span pages is one prefix.
func listPrefixesOnce(e *env) {
	var want []string
	for d := range 4 {
		want = append(want, fmt.Sprintf("d%d/", d))
		for f := range 5 {
			e.put(fmt.Sprintf("d%d/f%d", d, f), nil)
		}
	}
	for _, size := range []int32{1, 2, 3} {
		_, names, prefixes := e.list(backend.ListInput{MaxKeys: size, Delimiter: "/"})
		e.wantNames(fmt.Sprint("prefixes, pages of ", size), prefixes, want)
		e.wantNames("names", names, nil)
	}
}

func listPrefixInName(e *env) {
	e.putTree()
	_, names, prefixes := e.list(backend.ListInput{Prefix: "a", Delimiter: "/"})
	e.wantNames("names", names, []string{"a!b", "a-1", "a.txt", "a0", "ab"})
	e.wantNames("prefixes", prefixes, []string{"a/"})
	_, names, prefixes = e.list(backend.ListInput{Prefix: "a/2", Delimiter: "/"})
	e.wantNames("names", names, nil)
	e.wantNames("prefixes", prefixes, []string{"a/2/"})
	_, names, _ = e.list(backend.ListInput{Prefix: "\xe6\x97\xa5"})
	e.wantNames("half a name", names, []string{"日本"})
}

func listStartAfter(e *env) {
	e.putTree()
	for _, size := range []int32{0, 1, 2} {
		_, names, _ := e.list(backend.ListInput{StartAfter: "a/2/x", MaxKeys: size})
		e.wantNames("after a key", names, tree[slices.Index(tree, "a/2/y"):])
		_, names, _ = e.list(backend.ListInput{StartAfter: "a/2/xx", MaxKeys: size})
		e.wantNames("after a key that is not there", names, tree[slices.Index(tree, "a/2/y"):])
		_, names, prefixes := e.list(backend.ListInput{StartAfter: "a.txt", Delimiter: "/", MaxKeys: size})
		e.wantNames("names after a name", names, []string{"a0", "ab", "c", "é", "日本"})
		e.wantNames("prefixes after a name", prefixes, []string{"a/", "b/"})
		_, names, prefixes = e.list(backend.ListInput{StartAfter: "a0", Delimiter: "/", MaxKeys: size})
		e.wantNames("names after a0", names, []string{"ab", "c", "é", "日本"})
		e.wantNames("prefixes after a0", prefixes, []string{"b/"})
		_, names, _ = e.list(backend.ListInput{Prefix: "a/", StartAfter: "b", MaxKeys: size})
		e.wantNames("after the prefix", names, nil)
		_, names, _ = e.list(backend.ListInput{Prefix: "a/", StartAfter: "A", MaxKeys: size})
		e.wantNames("before the prefix", names, []string{"a/1", "a/2/x", "a/2/y", "a/3"})
	}
}

func listFields(e *env) {
	want := map[string]backend.Object{}
	for i, name := range []string{"a", "b", "dir/c"} {
		e.put(name, noise(uint64(i), int64(i*1000)))
		want[name] = e.head(name)
	}
	objects, names, _ := e.list(backend.ListInput{})
	for i, obj := range objects {
		head := want[names[i]]
		if obj.ID() != head.ID() || obj.ETag != head.ETag || obj.Size != head.Size || obj.VersionID != "" {
			e.Errorf("listed %+v, Head says %+v", obj, head)
		}
		if d := obj.LastModified.Sub(head.LastModified); d < 0 || d.Seconds() >= 1 {
			e.Errorf("%q: listed as of %v, Head says %v", names[i], obj.LastModified, head.LastModified)
		}
		if obj.TagCount != -1 && obj.TagCount != 0 {
			e.Errorf("%q: tag count %d", names[i], obj.TagCount)
		}
	}
}

// listChanges: a page goes on after the last one's end, whatever happened in between.
func listChanges(e *env) {
	for _, name := range []string{"a", "c", "e", "g"} {
		e.put(name, nil)
	}
	in := backend.ListInput{Bucket: e.bucket, Prefix: e.prefix, MaxKeys: 2}
	page, err := e.store.List(e.ctx, in)
	e.ok("List", err)
	if len(page.Objects) != 2 || page.Next == "" {
		e.Fatalf("first page: %+v", page)
	}
	e.put("b", nil)
	e.delete("c")
	e.delete("e")
	e.put("f", nil)
	in.Token = page.Next
	page, err = e.store.List(e.ctx, in)
	e.ok("List", err)
	var names []string
	for _, obj := range page.Objects {
		names = append(names, strings.TrimPrefix(obj.Key, e.prefix))
	}
	e.wantNames("second page", names, []string{"f", "g"})
}

// listDefaultPage: without MaxKeys a page has 1000 entries; DeleteMany takes as many keys.
func listDefaultPage(e *env) {
	if testing.Short() {
		e.Skip("more than a thousand requests")
	}
	const count = 1003
	var next atomic.Int64
	together(16, func(int) {
		for i := next.Add(1) - 1; i < count; i = next.Add(1) - 1 {
			if _, err := e.store.Put(e.ctx, e.input(fmt.Sprintf("%04d", i), nil)); err != nil {
				e.Errorf("Put: %v", err)
				return
			}
		}
	})
	page, err := e.store.List(e.ctx, backend.ListInput{Bucket: e.bucket, Prefix: e.prefix})
	e.ok("List", err)
	if len(page.Objects) != 1000 || page.Next == "" {
		e.Errorf("%d objects on the first page, next %q", len(page.Objects), page.Next)
	}
	_, names, _ := e.list(backend.ListInput{})
	if len(names) != count || names[0] != "0000" || names[count-1] != "1002" {
		e.Fatalf("%d names listed, want %d", len(names), count)
	}
	if !e.caps.DeleteMany {
		return
	}
	var keys []string
	for _, name := range names[:1000] {
		keys = append(keys, e.prefix+name)
	}
	results, err := e.store.DeleteMany(e.ctx, e.bucket, keys)
	e.ok("DeleteMany", err)
	e.wantResults(results, keys)
	_, names, _ = e.list(backend.ListInput{})
	e.wantNames("left", names, []string{"1000", "1001", "1002"})
}
