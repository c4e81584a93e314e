package backendtest

import (
	"slices"

	"github.com/objmount/objmount/backend"
)

var nameCases = []testCase{
	{name: "Special", run: specialNames},
	{name: "SpecialDirectories", run: specialDirectories},
	{name: "SpecialPages", run: specialPages},
	{name: "SpecialCopies", run: specialCopies},
	{name: "SpecialDeletes", needs: "DeleteMany", run: specialDeletes},
	{name: "AnyKey", needs: "AnyKey", run: anyKey},
	{name: "FileAndPrefix", needs: "FileAndPrefix", run: fileAndPrefix},
}

// special are names that go wrong when they are escaped too little, too much, or twice.
var special = []string{
	"!exclamation", "#hash", "$dollar", "%25percent", "%zz", "& < > \" '", "(parens)", "*", "+plus +", "a b", "a=b", "a?b=c&d", "colon:",
	"semi;colon", "@at", "[brackets]", "back\\slash", "ends with blank ", "e\u0301 is not \u00e9", "tilde~", "{braces}", "über", "😀", "\u65e5\u672c\u8a9e",
}

func specialNames(e *env) {
	for _, name := range special {
		stored := e.put(name, []byte(name))
		if obj := e.wantContent(name, []byte(name)); obj.Key != e.prefix+name {
			e.Errorf("Get of %q answers for %q", name, obj.Key)
		}
		if obj := e.head(name); obj.ETag != stored.ETag {
			e.Errorf("Head of %q: ETag %s, want %s", name, obj.ETag, stored.ETag)
		}
	}
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, slices.Sorted(slices.Values(special)))
	for _, name := range special {
		e.delete(name)
	}
	_, names, _ = e.list(backend.ListInput{})
	e.wantNames("after all were deleted", names, nil)
}

func specialDirectories(e *env) {
	var want []string
	for _, name := range special {
		e.put(name+"/in "+name, nil)
		want = append(want, name+"/")
	}
	slices.Sort(want)
	_, names, prefixes := e.list(backend.ListInput{Delimiter: "/"})
	e.wantNames("names", names, nil)
	e.wantNames("prefixes", prefixes, want)
	for _, name := range special {
		_, names, prefixes = e.list(backend.ListInput{Prefix: name + "/", Delimiter: "/"})
		e.wantNames("inside", names, []string{name + "/in " + name})
		e.wantNames("prefixes inside", prefixes, nil)
	}
}

// specialPages: special names as the place where the next page begins.
func specialPages(e *env) {
	for _, name := range special {
		e.put(name, nil)
		e.put("dirs/"+name+"/x", nil)
	}
	sorted := slices.Sorted(slices.Values(special))
	_, names, prefixes := e.list(backend.ListInput{Delimiter: "/", MaxKeys: 1})
	e.wantNames("names", names, sorted)
	e.wantNames("prefixes", prefixes, []string{"dirs/"})
	_, _, prefixes = e.list(backend.ListInput{Prefix: "dirs/", Delimiter: "/", MaxKeys: 1})
	if len(prefixes) != len(special) || !slices.IsSorted(prefixes) {
		e.Errorf("prefixes: %q", prefixes)
	}
	for i, name := range sorted {
		_, names, _ = e.list(backend.ListInput{StartAfter: name, MaxKeys: 3, Delimiter: "/"})
		e.wantNames("after "+name, names, sorted[i+1:])
	}
}

func specialCopies(e *env) {
	for _, name := range special {
		e.put(name, []byte(name))
		_, err := e.copy(name, "copy of "+name, nil)
		e.ok("Copy of "+name, err)
		e.wantContent("copy of "+name, []byte(name))
	}
}

func specialDeletes(e *env) {
	var keys []string
	for _, name := range special {
		e.put(name, nil)
		keys = append(keys, e.prefix+name)
	}
	results, err := e.store.DeleteMany(e.ctx, e.bucket, keys)
	e.ok("DeleteMany", err)
	e.wantResults(results, keys)
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("after all were deleted", names, nil)
}

// anyKey: keys are byte strings, not paths.
func anyKey(e *env) {
	odd := []string{"../x", "..", ".", "./x", "//", "/x", "x/../y", "x/./y", "x//", "x//y", "x/y"}
	for _, name := range odd {
		e.put(name, []byte(name))
	}
	for _, name := range odd {
		e.wantContent(name, []byte(name))
	}
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, slices.Sorted(slices.Values(odd)))
	_, names, prefixes := e.list(backend.ListInput{Prefix: "x/", Delimiter: "/"})
	e.wantNames("names in x/", names, []string{"x/y"})
	e.wantNames("prefixes in x/", prefixes, []string{"x/../", "x/./", "x//"})
	for _, name := range odd {
		e.delete(name)
	}
	_, names, _ = e.list(backend.ListInput{})
	e.wantNames("after all were deleted", names, nil)
}

func fileAndPrefix(e *env) {
	for _, name := range []string{"a", "a/b", "c/d", "c", "m/", "m"} {
		e.put(name, []byte(name))
	}
	for _, name := range []string{"a", "a/b", "c/d", "c", "m/", "m"} {
		e.wantContent(name, []byte(name))
	}
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("flat", names, []string{"a", "a/b", "c", "c/d", "m", "m/"})
	for _, size := range []int32{0, 1} {
		_, names, prefixes := e.list(backend.ListInput{Delimiter: "/", MaxKeys: size})
		e.wantNames("names", names, []string{"a", "c", "m"})
		e.wantNames("prefixes", prefixes, []string{"a/", "c/", "m/"})
	}
	e.delete("a")
	e.wantContent("a/b", []byte("a/b"))
	e.wantGone("a")
}
