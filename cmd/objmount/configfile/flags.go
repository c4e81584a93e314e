package configfile

// Flags tells which settings of the file are flags. The flags check their values themselves.
type Flags struct {
	Store, Mount []Flag   // allowed in [remote.NAME] and in [mount]
	Vendors      []string // what vendor can be
	// Together checks the settings of one remote that contradict each other although each is right alone; nil: none do.
	Together func([]Setting) error
}

// Flag is a flag that the file may set under its name. One that is neither Switch nor Text nor Path is written with quotes or without.
type Flag struct {
	Name string
	// Check says what is wanted instead of a value; nil: the value is right. What it says has neither the flag's name nor the value.
	Check  func(value string) error
	Switch bool // written as true or false
	Text   bool // written in quotes; it may hold a secret, so that it is never repeated in an error
	Path   bool // written in quotes; it counts from the file's directory, or from home after "~/"
}
