package access

import "slices"

// grant is one way in which everybody may do one action.
type grant struct {
	action action
	area   area        // of the bucket itself: everything
	open   []condition // on which it depends
	unless []Unless    // what takes it away
	by     string
}

// everybody works out what is possible without credentials: what statements and ACL allow, without what statements deny.
func everybody(p policy, in Input, restricted bool) []grant {
	var all []grant
	for _, a := range actions {
		var ways []grant
		for _, s := range p.statements {
			if s.allow && s.who.all() && s.named(a) && !restricted {
				ways = append(ways, s.opens(a, in.Bucket, p.variables)...)
			}
		}
		ways = append(ways, aclOpens(a, in)...)
		for _, s := range p.statements {
			if !s.allow && s.who.all() && s.named(a) {
				ways = s.closes(ways, in.Bucket, p.variables)
			}
		}
		all = append(all, withoutCovered(ways)...)
	}
	return all
}

// opens are the ways that a statement opens for an action.
func (s statement) opens(a action, bucket string, variables bool) []grant {
	truth, open := forAnonymous(s.conditions)
	if truth == never {
		return nil
	}
	where, _ := s.inBucket(bucket, variables)
	var all []grant
	switch {
	case a.scope == ofObjects:
		for _, part := range where.areas() {
			all = append(all, grant{action: a, area: part, open: open, by: "policy"})
		}
	case !where.bucket:
	case a.scope == ofListing:
		parts, rest := listed(open)
		for _, part := range parts {
			all = append(all, grant{action: a, area: part, open: rest, by: "policy"})
		}
	default:
		all = append(all, grant{action: a, area: everything(), open: open, by: "policy"})
	}
	return all
}

// listed turns conditions on the prefix that is listed into the areas that can be seen, and returns the other conditions.
func listed(open []condition) ([]area, []condition) {
	parts := []area{everything()}
	var rest []condition
	for _, c := range open {
		if !is(c.key, "s3:prefix") || !is(c.operator, "StringEquals", "StringLike") || c.set != "" || c.ifExists {
			rest = append(rest, c)
			continue
		}
		var next []area
		for _, value := range c.values {
			p := literal(value)
			if is(c.operator, "StringLike") {
				p, _ = parsePattern(value, false)
			}
			if n := len(p); n == 0 || p[n-1] != anyText { // a prefix shows all that begins with it
				p = append(slices.Clone(p), anyText)
			}
			for _, part := range parts {
				if part.meets(p) {
					next = append(next, part.only(p))
				}
			}
		}
		parts = next
	}
	return parts, rest
}

// closes takes from ways what a statement denies. What it denies only under conditions is told with the way.
func (s statement) closes(ways []grant, bucket string, variables bool) []grant {
	truth, open := forAnonymous(s.conditions)
	if truth == never {
		return ways
	}
	where, _ := s.inBucket(bucket, variables)
	var left []grant
	for _, g := range ways {
		ofKeys := g.action.scope == ofObjects
		switch {
		case ofKeys && !where.touches(g.area), !ofKeys && !where.bucket:
			left = append(left, g)
		case truth == depends:
			unless := Unless{If: conditionWords(open)}
			if ofKeys && len(where.cut(g.area)) > 0 {
				unless.Objects = where.words(nil)
			}
			g.unless = append(slices.Clone(g.unless), unless)
			left = append(left, g)
		case ofKeys:
			for _, part := range where.cut(g.area) {
				g.area = part
				left = append(left, g)
			}
		}
	}
	return left
}

// withoutCovered leaves out ways that give nothing that another one does not give without any condition.
func withoutCovered(ways []grant) []grant {
	covers := func(g, other grant) bool {
		same := slices.EqualFunc(g.open, other.open, func(a, b condition) bool { return a.words() == b.words() }) && slices.Equal(g.unless, other.unless)
		return (same || len(g.open)+len(g.unless) == 0) && g.area.covers(other.area)
	}
	var kept []grant
	for i, g := range ways {
		if !slices.ContainsFunc(ways, func(other grant) bool { return covers(other, g) && !covers(g, other) }) &&
			!slices.ContainsFunc(ways[:i], func(other grant) bool { return covers(other, g) && covers(g, other) }) {
			kept = append(kept, g)
		}
	}
	return kept
}

// covers reports whether all keys of another area are surely in this one.
func (a area) covers(b area) bool {
	for _, p := range a.within {
		if !slices.ContainsFunc(b.within, p.covers) {
			return false
		}
	}
	for _, d := range a.without {
		if b.meets(d) {
			return false
		}
	}
	return len(a.within) > 0
}

// grouped tells ways that differ in the action only as one.
func grouped(all []grant) []Access {
	type group struct {
		Access
		actions []action
	}
	var groups []*group
	for _, g := range all {
		a := Access{If: conditionWords(g.open), Unless: g.unless, By: g.by}
		if g.action.scope != ofBucket {
			a.Objects = g.area.words()
		}
		i := slices.IndexFunc(groups, func(o *group) bool {
			return o.Objects == a.Objects && o.If == a.If && slices.Equal(o.Unless, a.Unless) && o.By == a.By
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{Access: a})
		}
		groups[i].actions = append(groups[i].actions, g.action)
	}
	out := []Access{}
	for _, g := range groups {
		g.May = phrases(g.actions)
		what := join(g.May, "and")
		switch {
		case g.Objects == "" && len(g.actions) == len(withScope(actions, ofBucket)):
			what = "do everything with the bucket itself (change it, delete it)"
		case g.Objects != "" && len(g.actions) == len(withScope(actions, ofObjects, ofListing)):
			what = "do everything with " + g.Objects
		case g.Objects != "":
			what += " " + g.Objects
		}
		g.Text = "Everybody on the internet can " + what
		if g.If != "" {
			g.Text += ", but only if " + g.If
		}
		for _, unless := range g.Unless {
			g.Text += ", but not "
			if unless.Objects != "" {
				g.Text += unless.Objects + " "
			}
			g.Text += "if " + unless.If
		}
		g.Text += "."
		out = append(out, g.Access)
	}
	return out
}

// Extent is how much of something is possible.
type Extent uint8

// The extents.
const (
	Nothing Extent = iota
	Some           // for some keys, or under conditions
	All
)

// Readable says whether everybody can read an object; with below, all whose keys begin with key.
func (e Explanation) Readable(key string, below bool) Extent {
	p := literal(key)
	if below {
		p = append(p, anyText)
	}
	wanted, extent := area{within: []pattern{p}}, Nothing
	for _, way := range e.ways {
		switch {
		case way.action.name != "GetObject" || !way.area.meets(p):
		case len(way.open)+len(way.unless) == 0 && way.area.covers(wanted):
			return All
		default:
			extent = Some
		}
	}
	return extent
}

// Public reports whether everybody can do something, and not only some, such as those with certain addresses (S3 user guide, "The meaning
// of public").
func (e Explanation) Public() bool {
	return slices.ContainsFunc(e.ways, func(way grant) bool { return !slices.ContainsFunc(way.open, condition.fixes) })
}
