package names

import (
	"strings"
	"unicode/utf8"
)

// Kind says what a name stands for.
type Kind uint8

// The kinds of names.
const (
	// Natural is the file or the directory of that component.
	Natural Kind = iota
	// File is the object of a component that is also a directory; the directory keeps
	// the natural name.
	File
	// Part is the first piece of a component that is too long for one name: a directory
	// whose key prefix does not end in a slash.
	Part
)

// String returns a lower-case word.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Part:
		return "part"
	default:
		return "natural"
	}
}

// MaxName is the longest name of a directory entry, in bytes.
const MaxName = 255

// DirObject is the component of the object in a bucket's root that keeps the root's own
// attributes, as a marker "dir/" does for other directories.
const DirObject = ".objmount-dir"

// The ends of escaped names, and the whole name of the empty component.
const (
	suffixKey  = "%key"
	suffixFile = "%file"
	suffixPart = "%part"
	emptyName  = "%empty"
)

// Encode returns the directory entry name of a component: a legal name of 1 to MaxName
// bytes. The component must not contain a slash. One that is too long for its kind (see
// Split) has no name of its own; the name of its first piece, a Part, is returned.
func Encode(component string, kind Kind) string {
	name := encode(component, kind)
	if len(name) <= MaxName {
		return name
	}
	return encode(component[:cut(component)], Part)
}

// encode is Encode without a limit of length.
func encode(component string, kind Kind) string {
	switch {
	case kind == File:
		return body(component) + suffixFile
	case kind == Part:
		return body(component) + suffixPart
	case component == "":
		return emptyName
	case component == "." || component == ".." || strings.IndexByte(component, 0) >= 0 || isEscape(component):
		return body(component) + suffixKey
	default:
		return component
	}
}

// Decode returns what a name stands for. Every name has a meaning: one that Encode never
// returns as an escape is the natural name of itself.
func Decode(name string) (component string, kind Kind) {
	if c, k, ok := parse(name); ok {
		return c, k
	}
	return name, Natural
}

// Split cuts a component that has no natural name of at most MaxName bytes: piece is shown
// by Encode(piece, Part), and rest below it, or cut again. long is false, and piece the
// whole component, when one name is enough. Where the cut lies depends on the first 251
// bytes only.
func Split(component string) (piece, rest string, long bool) { return split(component, Natural) }

// SplitFile is Split for the kind File, whose names are longer by a few bytes: the object of
// a component of 251 bytes that is also a directory is shown below a Part.
func SplitFile(component string) (piece, rest string, long bool) { return split(component, File) }

func split(component string, kind Kind) (piece, rest string, long bool) {
	if len(encode(component, kind)) <= MaxName {
		return component, "", false
	}
	at := cut(component)
	return component[:at], component[at:], true
}

// Continues reports whether the component piece+rest, as kind Natural or File, is shown as
// rest in the directory of kind Part of that piece: false for shorter neighbours that begin
// with the same bytes.
func Continues(piece, rest string, kind Kind) bool {
	p, _, long := split(piece+rest, kind)
	return long && p == piece
}

// Hidden reports whether a component of a bucket's root is never shown.
func Hidden(component string) bool { return component == DirObject }

// cut returns the length of the first piece: the most bytes whose name fits, less those
// that would tear a UTF-8 sequence.
func cut(component string) int {
	at, room := 0, MaxName-len(suffixPart)
	for at < len(component) {
		n := 1
		if component[at] == '%' || component[at] == 0 {
			n = 3
		}
		if room < n {
			break
		}
		room -= n
		at++
	}
	if at == len(component) {
		return at
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(component[at-back]) {
			return at - back
		}
	}
	return at
}

// body encodes what stands before the end of an escaped name.
func body(component string) string {
	switch component {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	if strings.IndexByte(component, '%') < 0 && strings.IndexByte(component, 0) < 0 {
		return component
	}
	return strings.NewReplacer("%", "%25", "\x00", "%00").Replace(component)
}

// parseBody inverts body. It refuses what body never returns.
func parseBody(s string) (component string, ok bool) {
	switch s {
	case ".", "..":
		return "", false
	case "%2E":
		return ".", true
	case "%2E%2E":
		return "..", true
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", false
	}
	var b strings.Builder
	for {
		plain, after, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		switch {
		case strings.HasPrefix(after, "25"):
			b.WriteByte('%')
		case strings.HasPrefix(after, "00"):
			b.WriteByte(0)
		default:
			return "", false
		}
		s = after[2:]
	}
}

// parse decodes a name that encode returns as an escape.
func parse(name string) (component string, kind Kind, ok bool) {
	if name == emptyName {
		return "", Natural, true
	}
	if s, found := strings.CutSuffix(name, suffixFile); found {
		component, ok = parseBody(s)
		return component, File, ok
	}
	if s, found := strings.CutSuffix(name, suffixPart); found {
		component, ok = parseBody(s)
		return component, Part, ok
	}
	if s, found := strings.CutSuffix(name, suffixKey); found {
		component, ok = parseBody(s)
		// A component that needs no escape has its natural name only.
		return component, Natural, ok && component != "" && encode(component, Natural) == name
	}
	return "", Natural, false
}

func isEscape(name string) bool {
	_, _, ok := parse(name)
	return ok
}
