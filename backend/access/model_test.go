package access

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// matches is a pattern's meaning in its shortest form.
func matches(p, text string) bool {
	switch {
	case p == "":
		return text == ""
	case p[0] == '*':
		return matches(p[1:], text) || text != "" && matches(p, text[1:])
	case text == "":
		return false
	}
	return (p[0] == '?' || p[0] == text[0]) && matches(p[1:], text[1:])
}

// has reports whether a key is in an area.
func (a area) has(key string) bool {
	for _, p := range a.within {
		if !matches(p.String(), key) {
			return false
		}
	}
	for _, p := range a.without {
		if matches(p.String(), key) {
			return false
		}
	}
	return true
}

// TestEverybodyAgreesWithTheRules compares the areas that are worked out with the evaluation of the same policy for single keys.
func TestEverybodyAgreesWithTheRules(t *testing.T) {
	t.Parallel()
	resource := rapid.Map(rapid.StringMatching(`[ab/*?]{0,4}`), func(s string) string { return "arn:aws:s3:::b" + s })
	type made struct {
		Effect                string
		Principal             string
		Action                string
		Resource, NotResource []string `json:",omitempty"`
	}
	rapid.Check(t, func(t *rapid.T) {
		var all []made
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			s := made{Effect: rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"), Principal: "*", Action: "s3:GetObject"}
			resources := rapid.SliceOfN(resource, 1, 3).Draw(t, "resources")
			if rapid.IntRange(0, 3).Draw(t, "not") == 0 {
				s.NotResource = resources
			} else {
				s.Resource = resources
			}
			all = append(all, s)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": all})
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		read := actions[0]
		var ways []grant
		for _, s := range p.statements {
			if s.allow {
				ways = append(ways, s.opens(read, "b", true)...)
			}
		}
		for _, s := range p.statements {
			if !s.allow {
				ways = s.closes(ways, "b", true)
			}
		}
		ways = withoutCovered(ways)
		for range 20 {
			key := rapid.StringMatching(`[ab/]{1,5}`).Draw(t, "key")
			allowed, denied := false, false
			for _, s := range all {
				about := false
				for _, r := range append(s.Resource, s.NotResource...) {
					about = about || matches(r, "arn:aws:s3:::b/"+key)
				}
				if about != (s.NotResource != nil) {
					allowed = allowed || s.Effect == "Allow"
					denied = denied || s.Effect == "Deny"
				}
			}
			found := false
			for _, way := range ways {
				found = found || way.area.has(key)
			}
			if want := allowed && !denied; found != want {
				t.Fatalf("%s: %q is readable: %t, want %t\n%+v", text, key, found, want, ways)
			}
		}
	})
}

func TestPatternsAgreeWithTheirMeaning(t *testing.T) {
	t.Parallel()
	some := rapid.StringMatching(`[ab*?]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		one, other, text := some.Draw(t, "one"), some.Draw(t, "other"), rapid.StringMatching(`[ab]{0,7}`).Draw(t, "text")
		p, _ := parsePattern(one, true)
		q, _ := parsePattern(other, true)
		if p.covers(literal(text)) != matches(one, text) {
			t.Fatalf("%q matches %q: want %t", one, text, matches(one, text))
		}
		if matches(one, text) && matches(other, text) && !p.overlaps(q) {
			t.Fatalf("%q and %q both match %q", one, other, text)
		}
		if p.covers(q) && matches(other, text) && !matches(one, text) {
			t.Fatalf("%q is said to match all of %q, but not %q", one, other, text)
		}
		rests := false
		for _, rest := range p.after("ab") {
			rests = rests || rest.covers(literal(text))
		}
		if want := matches(one, "ab"+text); rests != want {
			t.Fatalf("%q after ab matches %q: %t", one, text, !want)
		}
	})
	if p, ok := parsePattern(strings.Repeat("*?", 5000), true); ok || !p.covers(p) {
		t.Error("a pattern longer than any key is taken")
	}
	if p, _ := parsePattern("a**?*b", true); p.String() != "a?*b" {
		t.Errorf("%q", p.String())
	}
}
