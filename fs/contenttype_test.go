package fs

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
)

func TestContentTypes(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{posix: PosixOff, commit: commit})
		write := func(name, data string) { check(t, os.WriteFile(m.path(name), []byte(data), 0o644)) }
		packets := string(bytes.Repeat(append([]byte("G"), make([]byte, 187)...), 3))
		write("page.html", "<p>")
		write("picture", "\x89PNG\r\n\x1a\n")
		write("segment.ts", packets)
		write("source.ts", "const a: number = 1\n")
		write("words", "some text")
		write("mine.html", "x")
		setXattr(t, m.path("mine.html"), "user.s3.content-type", "application/x-mine")
		file, err := os.Create(m.path("before.html"))
		check(t, err)
		check(t, unix.Fsetxattr(int(file.Fd()), "user.s3.content-type", []byte("application/x-before"), 0))
		_, err = file.WriteString("x")
		check(t, err)
		check(t, file.Close())
		file, err = os.Create(m.path("marked.html")) // another attribute says nothing about the type
		check(t, err)
		check(t, unix.Fsetxattr(int(file.Fd()), "user.s3.tag.a", []byte("1"), 0))
		check(t, file.Close())
		m.putWith("theirs.css", "x", backend.Properties{Headers: backend.Headers{ContentType: "text/x-theirs"}})
		m.putWith("renamed.txt", "x", backend.Properties{Headers: backend.Headers{ContentType: "text/x-kept"}})
		check(t, m.fs.Drain(t.Context(), nil))
		m.fs.cfg.Metadata.Invalidate(testBucket, "")
		// The way of programs that replace a file: another name first, which says nothing.
		write("tmp1", "a {}")
		check(t, os.Rename(m.path("tmp1"), m.path("styled.css")))
		write("tmp2", "a {}")
		check(t, m.fs.Drain(t.Context(), nil))
		check(t, os.Rename(m.path("tmp2"), m.path("styled2.css")))
		check(t, os.Rename(m.path("styled2.css"), m.path("styled2.html"))) // now it has one
		write("tmp3", "a {}")
		check(t, m.fs.Drain(t.Context(), nil))
		appendTo(t, m.path("tmp3"), "b {}")
		check(t, os.Rename(m.path("tmp3"), m.path("styled3.css")))
		write("tmp4", "a {}")
		setXattr(t, m.path("tmp4"), "user.s3.content-type", "text/x-set")
		check(t, os.Rename(m.path("tmp4"), m.path("set.css")))
		write("named.txt", "a {}")
		check(t, m.fs.Drain(t.Context(), nil))
		check(t, os.Rename(m.path("named.txt"), m.path("named.css")))
		// An edit, a rename and a chmod keep what is stored.
		appendTo(t, m.path("theirs.css"), "y")
		appendTo(t, m.path("picture"), "not a picture any more")
		check(t, os.Rename(m.path("renamed.txt"), m.path("renamed.jpg")))
		check(t, os.Rename(m.path("mine.html"), m.path("mine.txt")))
		appendTo(t, m.path("mine.txt"), "y")
		check(t, m.fs.Drain(t.Context(), nil))
		for key, want := range map[string]string{
			"page.html": "text/html; charset=utf-8", "picture": "image/png", "segment.ts": contenttype.TransportStream, "source.ts": "text/plain; charset=utf-8",
			"words": "text/plain; charset=utf-8", "mine.txt": "application/x-mine", "before.html": "application/x-before",
			"marked.html": "text/html; charset=utf-8", "theirs.css": "text/x-theirs", "renamed.jpg": "text/x-kept",
			"styled.css": "text/css; charset=utf-8", "styled2.html": "text/css; charset=utf-8", "styled3.css": "text/css; charset=utf-8",
			"set.css": "text/x-set",
		} {
			eventually(t, func() bool { _, err := m.stored(key); return err == nil })
			if _, obj := m.object(key); obj.Headers.ContentType != want {
				t.Errorf("%s has %q, want %q", key, obj.Headers.ContentType, want)
			}
		}
		for _, name := range []string{"page.html", "picture", "segment.ts", "source.ts", "words"} {
			if got := xattrsOf(t, m.path(name)); len(got) != 0 {
				t.Errorf("%s lists %v", name, got)
			}
		}
		if got := xattrsOf(t, m.path("renamed.jpg")); got["user.s3.content-type"] != "text/x-kept" {
			t.Errorf("renamed.jpg lists %v", got)
		}
	})
}
