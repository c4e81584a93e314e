package test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// What became of an update, as far as who made it was told.
const (
	isStored  = "stored"  // fsync or close has succeeded
	isLost    = "lost"    // fsync or close said ESTALE: it is kept as a conflict
	isRefused = "refused" // not even begun, or the write said ESTALE
	isPending = "pending" // closed in background mode: it is stored later, or kept; or the answer did not come
)

// An update takes the place of another one: of base, which who made it has read from the file that was then written.
type update struct {
	token, base uint64 // base 0: it takes the place of whatever there is (blind), or of nothing
	by          *rival
	what        string // the outcome
}

// A ledger has the updates of one key.
type ledger struct {
	key     string
	large   bool
	blind   bool // some writers take the place of anything, on purpose
	hazards bool // what a store may leave unguarded is done here: lost updates are counted

	mu      sync.Mutex
	updates []*update
	lost    int // updates that another one has taken the place of without knowing it
}

func (l *ledger) add(u *update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.updates = append(l.updates, u)
}

func (l *ledger) count(what string) int {
	n := 0
	for _, u := range l.updates {
		if u.what == what {
			n++
		}
	}
	return n
}

// settle gives pending updates their outcome: one that somebody has read and replaced, or that is there at the end, was stored. The others have
// to be kept by who made them, or have been overwritten on the local disk by one that is.
func (l *ledger) settle(final uint64, kept func(*rival, string) map[uint64]bool) []string {
	for changed := true; changed; {
		changed = false
		for _, u := range l.updates {
			if u.what == isPending && (u.token == final || l.followed(u.token, isStored)) {
				u.what, changed = isStored, true
			}
		}
	}
	var problems []string
	for _, u := range l.updates {
		if u.what != isLost && u.what != isPending || l.explained(u, kept) {
			continue
		}
		if u.what == isPending && (l.blind || l.hazards || u.by.m == nil) { // it may have been stored, and a blind writer has taken its place
			continue
		}
		problems = append(problems, fmt.Sprintf("%s: token %x of %s (from %x) is %s and in no conflict", l.key, u.token, u.by.name, u.base, u.what))
	}
	return problems
}

func (l *ledger) explained(u *update, kept func(*rival, string) map[uint64]bool) bool {
	if kept(u.by, l.key)[u.token] {
		return true
	}
	return slices.ContainsFunc(l.updates, func(o *update) bool {
		return o.base == u.token && o.by.m == u.by.m && u.by.m != nil && (o.what == isLost || o.what == isPending) && l.explained(o, kept)
	})
}

func (l *ledger) followed(token uint64, what string) bool {
	return slices.ContainsFunc(l.updates, func(o *update) bool { return o.base == token && o.what == what })
}

// judge says what is wrong with the history of a key that ends in final.
func (l *ledger) judge(final uint64) []string {
	var problems, forks []string
	followers := map[uint64][]*update{}
	blinds := 0
	for _, u := range l.updates {
		switch {
		case u.what == isStored && u.base != 0:
			followers[u.base] = append(followers[u.base], u)
		case u.what == isStored:
			blinds++ // the first of all is one, too: it takes the place of nothing, and the last is in nobody's way
		case u.token == final || l.followed(u.token, isStored):
			problems = append(problems, fmt.Sprintf("%s: token %x of %s is %s, but it was stored", l.key, u.token, u.by.name, u.what))
		}
	}
	ends := 0
	for _, u := range l.updates {
		if u.what != isStored {
			continue
		}
		switch next := followers[u.token]; {
		case len(next) > 1:
			names := make([]string, 0, len(next))
			for _, n := range next {
				names = append(names, fmt.Sprintf("%x of %s", n.token, n.by.name))
			}
			forks = append(forks, fmt.Sprintf("%s: token %x was replaced by each of %s: an update is lost", l.key, u.token, names))
		case len(next) == 0:
			ends++
		}
	}
	if ends > blinds && len(forks) == 0 {
		forks = append(forks, fmt.Sprintf("%s: %d updates were replaced by nobody; there is one last, and %d blind writes", l.key, ends, blinds-1))
	}
	l.lost = len(forks)
	if !l.hazards {
		problems = append(problems, forks...)
	}
	if steps := l.steps(final); !l.blind && !l.hazards && steps != l.count(isStored) {
		problems = append(problems, fmt.Sprintf("%s: %d updates were stored, and the last is the %dth of them", l.key, l.count(isStored), steps))
	}
	if !slices.ContainsFunc(l.updates, func(u *update) bool { return u.token == final && u.what == isStored }) {
		problems = append(problems, fmt.Sprintf("%s: the last is token %x, which no writer has stored", l.key, final))
	}
	return problems
}

// steps counts how many updates lead to a token: a counter in the file would have this value.
func (l *ledger) steps(token uint64) int {
	n := 0
	for i := 0; i < len(l.updates); {
		u := l.updates[i]
		if u.token != token || u.what != isStored {
			i++
			continue
		}
		n, token, i = n+1, u.base, 0
	}
	return n
}

// inOrder compares the history with all versions that the store has kept, the oldest first. Versions with the same token in a row are
// the same content with other attributes.
func (l *ledger) inOrder(versions []uint64) []string {
	versions = slices.Compact(versions)
	at := map[uint64]int{}
	var problems []string
	for i, token := range versions {
		if _, twice := at[token]; twice {
			problems = append(problems, fmt.Sprintf("%s: token %x was stored twice, with others between", l.key, token))
		}
		at[token] = i
	}
	byToken := map[uint64]*update{}
	for _, u := range l.updates {
		byToken[u.token] = u
	}
	for token := range maps.Keys(at) {
		if u := byToken[token]; u == nil || u.what == isLost || u.what == isRefused {
			problems = append(problems, fmt.Sprintf("%s: token %x is among the versions of the store; its writer was told that it is not: %+v", l.key, token, u))
		}
	}
	for _, u := range l.updates {
		i, there := at[u.token]
		switch {
		case u.what == isStored && !there && !l.followed(u.token, isStored):
			problems = append(problems, fmt.Sprintf("%s: token %x of %s is in no version", l.key, u.token, u.by.name))
		case u.what != isStored || !there || u.base == 0:
			continue
		}
		base := u.base
		for byToken[base] != nil && byToken[base].base != 0 { // what was overwritten on the local disk before it was uploaded
			if _, uploaded := at[base]; uploaded {
				break
			}
			base = byToken[base].base
		}
		if there && (i == 0 || versions[i-1] != base) && !l.hazards {
			problems = append(problems, fmt.Sprintf("%s: token %x of %s was made from %x, and took the place of another one: %x", l.key, u.token, u.by.name, base, versions[:i+1]))
		}
	}
	return problems
}
