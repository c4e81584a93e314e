package access

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// area is a set of keys: those that match all of within and none of without. No within: no keys.
type area struct {
	within, without []pattern
}

func everything() area { return area{within: []pattern{{anyText}}} }

// empty reports whether it surely has no keys.
func (a area) empty() bool {
	return len(a.within) == 0 || slices.ContainsFunc(a.without, func(d pattern) bool {
		return slices.ContainsFunc(a.within, d.covers)
	})
}

// meets reports whether a pattern may match keys of the area.
func (a area) meets(p pattern) bool {
	return !slices.ContainsFunc(a.within, func(w pattern) bool { return !w.overlaps(p) }) &&
		!slices.ContainsFunc(a.without, func(d pattern) bool { return d.covers(p) })
}

// only is the part of the area that matches a pattern.
func (a area) only(p pattern) area {
	within := slices.DeleteFunc(slices.Clone(a.within), func(w pattern) bool { return w.covers(p) })
	if !slices.ContainsFunc(within, p.covers) {
		within = append(within, p)
	}
	without := slices.DeleteFunc(slices.Clone(a.without), func(d pattern) bool { return !d.overlaps(p) })
	return area{within, without}
}

// minus is the area without what a pattern matches.
func (a area) minus(p pattern) area {
	if !a.meets(p) {
		return a
	}
	return area{a.within, widest(append(slices.Clone(a.without), p))}
}

// areas are the objects that a statement is about: each is in one of them at least.
func (w somewhere) areas() []area {
	if w.but {
		a := everything()
		for _, p := range w.keys {
			a = a.minus(p)
		}
		return someOf(a)
	}
	var all []area
	for _, p := range w.keys {
		all = append(all, area{within: []pattern{p}})
	}
	return all
}

// someOf leaves out empty areas.
func someOf(all ...area) []area { return slices.DeleteFunc(all, area.empty) }

// cut takes from an area what a statement is about.
func (w somewhere) cut(a area) []area {
	if w.but { // what is left are the exceptions
		var all []area
		for _, p := range w.keys {
			if a.meets(p) {
				all = append(all, a.only(p))
			}
		}
		return someOf(all...)
	}
	for _, p := range w.keys {
		a = a.minus(p)
	}
	return someOf(a)
}

// touches reports whether a statement may be about keys of an area.
func (w somewhere) touches(a area) bool {
	if w.but {
		return !slices.ContainsFunc(w.keys, func(p pattern) bool { return slices.ContainsFunc(a.within, p.covers) })
	}
	return slices.ContainsFunc(w.keys, a.meets)
}

// words are "all objects", "objects below a/", "the object f", ...
func (a area) words() string {
	var texts []string
	for _, p := range a.within {
		texts = append(texts, p.words())
	}
	text := strings.Join(texts, " that are also ")
	if len(a.without) > 0 {
		text += " except " + alternatives(a.without)
	}
	return text
}

// words say which objects a pattern of keys stands for.
func (p pattern) words() string {
	all := p.String()
	switch {
	case len(p) == 1 && p[0] == anyText:
		return "all objects"
	case !hasWild(p):
		return "the object " + shown(all)
	case p[len(p)-1] == anyText && !hasWild(p[:len(p)-1]):
		if prefix := all[:len(all)-1]; strings.HasSuffix(prefix, "/") {
			return "objects below " + shown(prefix)
		}
		return "objects that begin with " + shown(all[:len(all)-1])
	case p[0] == anyText && !hasWild(p[1:]):
		return "objects that end in " + shown(all[1:])
	}
	return "objects that match " + shown(all)
}

func hasWild(p pattern) bool { return slices.ContainsFunc(p, func(r rune) bool { return r < 0 }) }

// alternatives are the words of patterns of which one matches.
func alternatives(all []pattern) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.words())
	}
	return join(texts, "and")
}

// shown is a key in a sentence: quoted where it would not be clear otherwise.
func shown(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == '"' || r == ',' || !unicode.IsPrint(r) }) {
		return strconv.Quote(key)
	}
	return key
}
