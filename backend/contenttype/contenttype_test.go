package contenttype

import "testing"

func TestTypeByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"index.html": "text/html; charset=utf-8", "a/b.CSS": "text/css; charset=utf-8", "x.js": "text/javascript; charset=utf-8",
		"x.mjs": "text/javascript; charset=utf-8", "x.json": "application/json", "README.md": "text/markdown; charset=utf-8",
		"x.wasm": "application/wasm", "x.svg": "image/svg+xml", "x.webp": "image/webp", "x.avif": "image/avif", "x.woff2": "font/woff2",
		"x.csv": "text/csv; charset=utf-8", "x.parquet": "application/vnd.apache.parquet", "x.yaml": "application/yaml",
		"x.tar.gz": "application/gzip", "x.tgz": "application/gzip", "x.tar": "application/x-tar", "x.txt": "text/plain; charset=utf-8",
		"x.xml": "text/xml; charset=utf-8", "x.pdf": "application/pdf", "x.jpg": "image/jpeg", "x.png": "image/png", "x.mp4": "video/mp4",
		".index.html.a1B2c3": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8",
		"x.ts": "", "Makefile": "", "x.unknown": "", "html": "", "x.html/y": "", ".a.backup": "", "": "",
	} {
		if got := ByName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
