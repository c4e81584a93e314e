package contenttype

import "strings"

// byExtension are the types of IANA's registry (media-types, as of 2026) that the web uses, and where the
// registry has none, what browsers and servers agree upon. Text is taken for UTF-8: without a charset browsers
// take it for Windows-1252. ".ts" is not here: it is MPEG or TypeScript, and the first bytes tell which.
var byExtension = func() map[string]string {
	const utf8 = "; charset=utf-8"
	all := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSpace(`
text/html html htm xhtm
text/css css
text/javascript js mjs cjs
text/plain txt text log conf ini cfg diff patch
text/markdown md markdown
text/csv csv
text/tab-separated-values tsv
text/xml xml xsl xsd
text/calendar ics
text/vcard vcf
text/vtt vtt
text/rtf rtf
text/x-python py
text/x-c c h cc cpp hpp
text/x-go go
text/x-java java
text/x-rust rs
text/x-shellscript sh bash
text/x-sql sql
text/x-tex tex
application/json json map geojson ipynb
application/ld+json jsonld
application/jsonl jsonl ndjson
application/manifest+json webmanifest
application/yaml yaml yml
application/toml toml
application/xhtml+xml xhtml
application/rss+xml rss
application/atom+xml atom
application/wasm wasm
application/pdf pdf
application/epub+zip epub
application/zip zip
application/gzip gz tgz
application/zstd zst
application/x-bzip2 bz2 tbz2
application/x-xz xz txz
application/x-7z-compressed 7z
application/x-tar tar
application/vnd.rar rar
application/java-archive jar
application/vnd.apache.parquet parquet
application/vnd.apache.arrow.file arrow feather
application/vnd.apache.avro.file avro
application/x-hdf5 h5 hdf5
application/vnd.sqlite3 sqlite sqlite3
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/msword doc
application/vnd.ms-excel xls
application/vnd.ms-powerpoint ppt
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.presentation odp
application/vnd.android.package-archive apk
application/vnd.debian.binary-package deb
application/x-rpm rpm
application/x-iso9660-image iso
application/octet-stream bin dat exe dll so dmg img
application/postscript ps eps
application/dash+xml mpd
application/vnd.apple.mpegurl m3u8
application/ogg ogx
application/pgp-signature asc sig
application/x-pem-file pem crt
image/png png
image/apng apng
image/jpeg jpg jpeg
image/gif gif
image/svg+xml svg
image/webp webp
image/avif avif
image/heic heic
image/heif heif
image/jxl jxl
image/tiff tif tiff
image/bmp bmp
image/x-icon ico
image/vnd.adobe.photoshop psd
audio/mpeg mp3
audio/mp4 m4a
audio/aac aac
audio/flac flac
audio/ogg ogg oga opus
audio/wav wav
audio/aiff aiff aif
audio/midi mid midi
video/mp4 mp4 m4v
video/mpeg mpeg mpg
video/mp2t m2ts mts
video/webm webm
video/ogg ogv
video/quicktime mov
video/x-matroska mkv
video/x-msvideo avi
font/woff woff
font/woff2 woff2
font/ttf ttf
font/otf otf
font/collection ttc
application/vnd.ms-fontobject eot
model/gltf+json gltf
model/gltf-binary glb
model/stl stl
model/obj obj
`), "\n") {
		words := strings.Fields(line)
		if strings.HasPrefix(words[0], "text/") {
			words[0] += utf8
		}
		for _, extension := range words[1:] {
			all[extension] = words[0]
		}
	}
	return all
}()

// guessed are those that a file without a telling name may get: what http.DetectContentType finds
// (https://mimesniff.spec.whatwg.org), what stores make up, and transport streams.
var guessed = func() map[string]bool {
	all := map[string]bool{Unknown: true, "binary/octet-stream": true, TransportStream: true}
	for _, t := range strings.Fields(`application/ogg application/pdf application/postscript application/vnd.ms-fontobject
		application/wasm application/x-gzip application/x-rar-compressed application/zip audio/aiff audio/basic audio/midi
		audio/mpeg audio/wave font/collection font/otf font/ttf font/woff font/woff2 image/bmp image/gif image/jpeg image/png
		image/webp image/x-icon video/avi video/mp4 video/webm`) {
		all[t] = true
	}
	for _, t := range []string{"text/html", "text/plain", "text/xml"} {
		all[t+"; charset=utf-8"] = true
	}
	all["text/plain; charset=utf-16be"], all["text/plain; charset=utf-16le"] = true, true
	return all
}()
