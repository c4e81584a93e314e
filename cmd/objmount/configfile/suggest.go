package configfile

import "strings"

// unknown reports a key that nobody knows, and which one may have been meant.
func (d *decoder) unknown(n *node, name, where string, known []string) {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "-") {
	case "access-key", "secret-key", "access-key-id", "secret-access-key", "aws-access-key-id", "aws-secret-access-key", "session-token", "aws-session-token":
		d.bad(n.key, "%s: keys have no place here; use profile or credentials-file", name)
		return
	}
	if near := nearestName(name, known); near != "" {
		d.bad(n.key, "there is no key %q %s; did you mean %s?", name, where, near)
		return
	}
	d.bad(n.key, "there is no key %q %s; there are %s", name, where, strings.Join(known, ", "))
}

// nearestName returns the name that differs the least, "" if all differ much.
func nearestName(name string, known []string) string {
	const most = 2 // letters
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, least := "", most+1
	for _, k := range known {
		if n := distance(name, k); n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or replaced to make a into b (Levenshtein's).
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0] // above and to the left
		row[0] = i + 1
		for j := range len(b) {
			cost := left + 1
			if a[i] == b[j] {
				cost = left
			}
			left = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
