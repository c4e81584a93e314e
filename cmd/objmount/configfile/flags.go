package configfile

// Flags tells which settings of the file are flags. The flags check their values themselves.
type Flags struct {
	Store, Mount []Flag   // allowed in [remote.NAME] and in [mount]
	Vendors      []string // what vendor can be
	// Together checks the settings of one remote that contradict each other although each is right alone; nil: none do.
	Together func([]Setting) error
}

// Flag is a flag that the file may set under its name.
type Flag struct {
	Name string
	Kind Kind
	// Check says what is wanted instead of a value; nil: the value is right. What it says has neither the flag's name nor the value.
	Check func(value string) error
}

// Kind says how a value is written.
type Kind int

const (
	Value  Kind = iota // anything that stands alone, in quotes or not: what the flag takes
	Switch             // true or false
	Text               // in quotes; it may hold a secret, so that it is never repeated in an error
	Path               // in quotes; it counts from the file's directory, or from home after "~/"
)
