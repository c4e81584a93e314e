package documents

import "slices"

// kind is the type of a value.
type kind uint8

const (
	object kind = iota
	text
	number
	boolean
	date
)

// shape is what a value must look like.
type shape struct {
	kind   kind
	values []string // of a text: the allowed ones; none: any
	least  int64    // of a number
	fields []*field // of an object
	check  func(v *value) string
}

// field is a member of an object.
type field struct {
	json, xml string
	of        *shape
	list      bool // in XML: the element is repeated
	required  bool
	droppable bool // an empty element in an answer means that there is none
}

// as gives a field another name in XML.
func (f *field) as(name string) *field { f.xml = name; return f }

// must makes a field a required one.
func (f *field) must() *field { f.required = true; return f }

func (f *field) orEmpty() *field { f.droppable = true; return f }

func one(name string, of *shape) *field { return &field{json: name, xml: name, of: of} }

func many(name, element string, of *shape) *field {
	return &field{json: name, xml: element, of: of, list: true}
}

func objectOf(fields ...*field) *shape { return &shape{kind: object, fields: fields} }

// with adds a check that says what is wrong, or nothing.
func (s *shape) with(check func(v *value) string) *shape { s.check = check; return s }

func oneOf(values ...string) *shape { return &shape{kind: text, values: values} }

var (
	anyText = &shape{kind: text}
	count   = &shape{kind: number, least: 1}
	natural = &shape{kind: number}
	aBool   = &shape{kind: boolean}
	aDate   = &shape{kind: date}
)

func (s *shape) byJSON(name string) *field {
	for _, f := range s.fields {
		if f.json == name {
			return f
		}
	}
	return nil
}

func (s *shape) byXML(name string) *field {
	for _, f := range s.fields {
		if f.xml == name {
			return f
		}
	}
	return nil
}

// place is where a field stands in the order; what is not known comes last.
func (s *shape) place(f *field) int {
	if i := slices.Index(s.fields, f); i >= 0 {
		return i
	}
	return len(s.fields)
}

// names are what an object may have, as the JSON or the XML says it.
func (s *shape) names(inXML bool) []string {
	var all []string
	for _, f := range s.fields {
		if inXML {
			all = append(all, f.xml)
		} else {
			all = append(all, f.json)
		}
	}
	return all
}

// value is a value of a document, with the line that it was read from.
type value struct {
	shape   *shape
	line    int
	text    string // unless it is an object
	members []member
}

// member is a field of an object with its values: one, or those of a list.
type member struct {
	field  *field
	values []*value
}

func (v *value) has(name string) bool { return len(v.get(name)) > 0 }

func (v *value) get(name string) []*value {
	for _, m := range v.members {
		if m.field.json == name {
			return m.values
		}
	}
	return nil
}

// add appends to a member, which is made at its place in the order of the shape.
func (v *value) add(f *field, child *value) {
	for i := range v.members {
		if v.members[i].field == f {
			v.members[i].values = append(v.members[i].values, child)
			return
		}
	}
	v.members = append(v.members, member{f, []*value{child}})
}
