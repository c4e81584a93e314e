// Package contenttype tells content types by names and by first bytes, the same on every machine, and whether a bucket with
// limits takes a file. It is pure: it asks nobody.
package contenttype

import (
	"net/http"
	"strings"
)

// Unknown is the type of bytes that say nothing.
const Unknown = "application/octet-stream"

// HeadSize is how many of the first bytes tell (https://mimesniff.spec.whatwg.org, "reading the resource header").
const HeadSize = 512

// TransportStream is the type of MPEG transport streams: packets of 188 bytes, each of which begins with "G"
// (ISO/IEC 13818-1).
const TransportStream = "video/mp2t"

// ByName is the content type that the web expects of a key's name; empty: the name says nothing. It is the same on
// every machine: package mime reads tables of the system that differ.
func ByName(key string) string {
	name := strings.ToLower(key[strings.LastIndexByte(key, '/')+1:])
	if final, ok := rsyncName(name); ok {
		name = final
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return ""
	}
	return byExtension[name[dot+1:]]
}

// rsyncName returns the final name of a file that rsync(1) writes as .NAME.XXXXXX and renames when it is whole.
func rsyncName(name string) (final string, ok bool) {
	rest, ok := strings.CutPrefix(name, ".")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 || len(rest)-dot-1 != 6 {
		return "", false
	}
	for _, c := range []byte(rest[dot+1:]) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", false
		}
	}
	return rest[:dot], true
}

// ByContent is the content type that the first bytes of a file look like, HeadSize of them or the whole file; Unknown where they
// say nothing. Text is text/plain, whatever it means.
func ByContent(head []byte) string {
	head = head[:min(len(head), HeadSize)]
	switch {
	case len(head) == 0:
		return Unknown
	case len(head) > 188 && head[0] == 'G' && head[188] == 'G':
		return TransportStream
	}
	return http.DetectContentType(head)
}

// Guessed tells whether a file may get this content type by itself, without a name that says one.
func Guessed(contentType string) bool { return guessed[contentType] }
