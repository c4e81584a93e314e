package access

import (
	"strings"
	"unicode/utf8"
)

// pattern is a text with wildcards: a rune for each character, or one of the two below.
type pattern []rune

const (
	anyText rune = -1 // "*": any text, also none
	anyRune rune = -2 // "?"
)

// longestPattern is more than a name of a key has, with a "*" before each character of it.
const longestPattern = 2300

// parsePattern reads a pattern; "?"s come before the "*" that they stand beside, so that equal patterns are written equally. In a
// policy of 2012 or later "${*}" is a plain "*" (IAM user guide, "IAM policy elements: Variables and tags"); any other variable
// has no value without credentials: false, as for what is too long to match any key.
func parsePattern(text string, variables bool) (pattern, bool) {
	var p pattern
	stars := false // a "*" that is to be written
	add := func(r rune) {
		switch {
		case r == anyText:
			stars = true
			return
		case r != anyRune && stars:
			p, stars = append(p, anyText), false
		}
		p = append(p, r)
	}
	for text != "" {
		if variables && strings.HasPrefix(text, "${") {
			if name, rest, ok := strings.Cut(text[2:], "}"); ok {
				if name != "*" && name != "?" && name != "$" {
					return nil, false
				}
				add(rune(name[0]))
				text = rest
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(text)
		switch r {
		case '*':
			add(anyText)
		case '?':
			add(anyRune)
		default:
			add(r)
		}
		text = text[size:]
	}
	if stars {
		p = append(p, anyText)
	}
	return p, len(p) <= longestPattern
}

// literal is the pattern of one text only.
func literal(text string) pattern { return pattern(text) }

// String writes a pattern as a policy does.
func (p pattern) String() string {
	var b strings.Builder
	for _, r := range p {
		switch r {
		case anyText:
			b.WriteByte('*')
		case anyRune:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// pairs answers a question about the rests of two patterns once for each pair.
type pairs struct {
	seen []int8 // 0: not asked yet; 1: yes; 2: no
	wide int
	ask  func(x *pairs, i, j int) bool
}

func (x *pairs) at(i, j int) bool {
	known := &x.seen[i*x.wide+j]
	if *known == 0 {
		*known = 2
		if x.ask(x, i, j) {
			*known = 1
		}
	}
	return *known == 1
}

func compare(p, q pattern, ask func(x *pairs, i, j int) bool) bool {
	return (&pairs{make([]int8, (len(p)+1)*(len(q)+1)), len(q) + 1, ask}).at(0, 0)
}

// covers reports whether p matches all that q matches.
func (p pattern) covers(q pattern) bool {
	return compare(p, q, func(x *pairs, i, j int) bool {
		switch {
		case i == len(p):
			return j == len(q)
		case p[i] == anyText:
			return x.at(i+1, j) || j < len(q) && x.at(i, j+1)
		case j == len(q), q[j] == anyText:
			return false
		}
		return (p[i] == anyRune || p[i] == q[j]) && x.at(i+1, j+1)
	})
}

// overlaps reports whether something matches both.
func (p pattern) overlaps(q pattern) bool {
	return compare(p, q, func(x *pairs, i, j int) bool {
		switch {
		case i == len(p) && j == len(q):
			return true
		case i < len(p) && p[i] == anyText:
			return x.at(i+1, j) || j < len(q) && x.at(i, j+1)
		case j < len(q) && q[j] == anyText:
			return x.at(i, j+1) || i < len(p) && x.at(i+1, j)
		case i == len(p), j == len(q):
			return false
		}
		return (p[i] == anyRune || q[j] == anyRune || p[i] == q[j]) && x.at(i+1, j+1)
	})
}

// after returns what has to follow a text so that both together match p: one of several patterns, none of which covers another.
func (p pattern) after(text string) []pattern {
	reach := func(from map[int]bool) map[int]bool { // a "*" may be passed over
		for i := range p {
			if from[i] && p[i] == anyText {
				from[i+1] = true
			}
		}
		return from
	}
	now := reach(map[int]bool{0: true})
	for _, r := range text {
		next := map[int]bool{}
		for i := range now {
			switch {
			case i == len(p):
			case p[i] == anyText:
				next[i] = true
			case p[i] == anyRune || p[i] == r:
				next[i+1] = true
			}
		}
		now = reach(next)
	}
	var all []pattern
	for i := range len(p) + 1 {
		if now[i] {
			all = append(all, p[i:])
		}
	}
	return widest(all)
}

// widest leaves out what another one covers.
func widest(all []pattern) []pattern {
	var kept []pattern
	for i, p := range all {
		covered := false
		for j, q := range all {
			if i != j && q.covers(p) && (j < i || !p.covers(q)) {
				covered = true
			}
		}
		if !covered {
			kept = append(kept, p)
		}
	}
	return kept
}
