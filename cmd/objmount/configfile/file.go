package configfile

import (
	"time"

	"github.com/objmount/objmount/backend"
)

// File is a configuration that was read and checked.
type File struct {
	Path    string    // absolute
	Default string    // the remote of buckets that no pattern names; empty: none
	Mount   []Setting // for flags of objmount mount that were not given
	Remotes []*Remote // by their order in the file
}

// Setting is a flag's name and value.
type Setting struct {
	Name, Value  string
	Line, Column int // of the value, both from 1
}

// Remote is a store under a name.
type Remote struct {
	Name    string   // lower-case letters, digits, "-" and "_"; neither "all" nor "s3"
	Line    int      // of its table
	Vendor  string   // a name of backend.Capabilities.Vendor that is taken as told; empty: found out
	Buckets []string // patterns of path.Match of the bucket names that belong to it without being asked for by its name

	Settings   []Setting // the flags that say where a store is and how patient we are with it
	Rules      []Rule    // what new objects get and how they are encrypted: prefixes and namespaces in the order of the file, then the remote's own
	PublicURL  string    // see Rule.PublicURL; of what no rule has one for
	Namespaces []Namespace
}

// Rule says what objects below a prefix get when they are made, unless they bring their own. It never changes an object that exists.
// Of several rules that hold for an object, the one with the longest prefix decides, for each property alone; of equally long
// ones the first. Tags are one property, metadata are one, and so are the two kinds of encryption.
type Rule struct {
	Bucket     string // a pattern of path.Match; "*" in the rule of a whole remote
	Whole      bool   // the remote's own
	Prefix     string // "" or a prefix of keys
	Line       int
	Properties backend.Properties // Lock.Until is not set
	Retention  Period             // after which a new object may be deleted; zero: no retention
	// Key is the 32-byte key of SSE-C that all objects below the prefix are encrypted with, read and written; nil: none.
	Key *[32]byte
	// KeyFile is where Key came from.
	KeyFile string
	// PublicURL is the base of a URL that everybody can read, to which the key, without Prefix, is added; "{bucket}" stands for the bucket. Empty: none.
	PublicURL string
	// None names properties, by their keys in the file, that new objects do not get although a shorter prefix has them.
	None []string
}

// Period is a length of time by the calendar.
type Period struct{ Years, Days int }

// After returns the end of a period that begins at a time.
func (p Period) After(t time.Time) time.Time { return t.AddDate(p.Years, 0, p.Days) }

// Namespace is a part of a bucket with a name: a directory that is always shown, and a Rule for its prefix.
type Namespace struct {
	Name   string
	Bucket string // a pattern of path.Match
	Prefix string // ends in "/"; the name and "/" unless the file says otherwise
	Line   int
	Expire int // days after which the lifecycle rule that objmount installs removes an object; 0: never
}
