package attributes

import (
	"net/url"
	"strconv"
	"strings"
)

// MaxTarget is the longest encoded target of a symbolic link that Encode writes, in bytes: S3 takes
// 2 KiB of metadata in all.
const MaxTarget = 1024

// chunk is how much of an encoded target one metadata value holds, in bytes.
const chunk = 200

// splitTarget sets the target of a symbolic link, and removes what a longer one left.
func splitTarget(meta map[string]string, target string) {
	for key := range meta {
		if n, ok := strings.CutPrefix(key, keySymlink+"-"); ok && isDecimal(n) {
			delete(meta, key)
		}
	}
	delete(meta, keySymlink)
	rest := escape(target)
	if len(rest) > MaxTarget {
		return
	}
	for n := 1; rest != ""; n++ {
		size := min(chunk, len(rest))
		meta[chunkKey(n)] = rest[:size]
		rest = rest[size:]
	}
}

// joinTarget returns the target of a symbolic link.
func joinTarget(meta map[string]string) (target string, ok bool) {
	var b strings.Builder
	for n := 1; ; n++ {
		part := meta[chunkKey(n)]
		if part == "" {
			break
		}
		b.WriteString(part)
	}
	text := b.String()
	if text == "" {
		text = meta[keyGeesefsSymlink]
	}
	target, err := url.PathUnescape(text)
	return target, err == nil && target != "" && strings.IndexByte(target, 0) < 0
}

func chunkKey(n int) string {
	if n == 1 {
		return keySymlink
	}
	return keySymlink + "-" + strconv.Itoa(n)
}

// escape percent-encodes what is not printable ASCII, and spaces and percent signs.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '%' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
