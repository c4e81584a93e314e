package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Parse reads what a person wrote, in JSON or XML, and returns it in the form that Read gives. An error is one line that begins
// with the line of the document.
func Parse(doc backend.BucketDoc, document []byte) ([]byte, error) {
	document = bytes.TrimPrefix(document, []byte("\ufeff"))
	if len(bytes.TrimSpace(document)) == 0 {
		return nil, errors.New("the document is empty")
	}
	if doc == backend.PolicyDoc {
		return parsePolicy(document)
	}
	v, err := parse(doc, document)
	if err != nil {
		return nil, err
	}
	return v.inJSON(), nil
}

// Wire returns what is sent to a store for a document that Parse takes.
func Wire(doc backend.BucketDoc, document []byte) ([]byte, error) {
	if doc == backend.PolicyDoc {
		policy, err := Parse(doc, document)
		if err != nil {
			return nil, err
		}
		var short bytes.Buffer
		err = json.Compact(&short, policy)
		return short.Bytes(), err
	}
	v, err := parse(doc, document)
	if err != nil {
		return nil, err
	}
	return v.inXML(forms[doc].root), nil
}

// Read returns what a store answered, in JSON. nil: it is empty.
func Read(doc backend.BucketDoc, answer []byte) ([]byte, error) {
	if doc == backend.PolicyDoc {
		var long bytes.Buffer
		if err := json.Indent(&long, bytes.TrimSpace(answer), "", indentation); err != nil {
			return nil, err
		}
		return append(long.Bytes(), '\n'), nil
	}
	root, err := xmlTree(answer)
	if err != nil {
		return nil, err
	}
	v, err := reader{lax: true}.fromXML(root, forms[doc].of, "")
	if err != nil || len(v.members) == 0 {
		return nil, err
	}
	return v.inJSON(), nil
}

func parse(doc backend.BucketDoc, document []byte) (*value, error) {
	f := forms[doc]
	if bytes.HasPrefix(bytes.TrimSpace(document), []byte("<")) {
		root, err := xmlTree(document)
		if err != nil {
			return nil, err
		}
		if root.name != f.root {
			return nil, wrong(root.line, "", fmt.Sprintf("the element is %q; want %s", root.name, f.root))
		}
		return reader{}.fromXML(root, f.of, "")
	}
	root, err := jsonTree(document)
	if err != nil {
		return nil, err
	}
	if len(root.members) == 1 && root.members[0].name == f.root { // as some commands print it
		root = root.members[0].node
	}
	return reader{}.fromJSON(root, f.of, "")
}

func wrong(line int, path, said string) error {
	if path != "" {
		said = path + " " + said
	}
	return fmt.Errorf("line %d: %s", line, said)
}

// reader makes values of what was parsed.
type reader struct {
	lax bool // what is not known is kept, and nothing is checked
}

func (r reader) fromJSON(n *node, s *shape, path string) (*value, error) {
	v := &value{shape: s, line: n.line}
	if s.kind != object {
		want := map[kind]jsonKind{text: isString, number: isNumber, boolean: isBool, date: isString}[s.kind]
		if n.kind != want {
			return nil, wrong(n.line, path, fmt.Sprintf("is %s; want %s", n.kind, want))
		}
		return v, r.scalar(v, n.text, path)
	}
	if n.kind != isObject {
		return nil, wrong(n.line, path, fmt.Sprintf("is %s; want %s", n.kind, isObject))
	}
	for _, m := range n.members {
		f := s.byJSON(m.name)
		if f == nil {
			return nil, unknown(m.line, path, m.name, s.names(false))
		}
		if v.has(m.name) {
			return nil, wrong(m.line, path, fmt.Sprintf("has %q twice", m.name))
		}
		items := []*node{m.node}
		if f.list {
			if m.kind != isArray {
				return nil, wrong(m.line, below(path, f.json), fmt.Sprintf("is %s; want %s", m.kind, isArray))
			}
			items = m.items
		}
		for i, item := range items {
			at := below(path, f.json)
			if f.list {
				at += "[" + strconv.Itoa(i) + "]"
			}
			child, err := r.fromJSON(item, f.of, at)
			if err != nil {
				return nil, err
			}
			v.add(f, child)
		}
	}
	return v, r.complete(v, path)
}

func (r reader) fromXML(n *element, s *shape, path string) (*value, error) {
	v := &value{shape: s, line: n.line}
	if s.kind != object {
		if len(n.children) > 0 {
			return nil, wrong(n.line, path, "has elements; want text")
		}
		return v, r.scalar(v, n.text, path)
	}
	if strings.TrimSpace(n.text) != "" && !r.lax {
		return nil, wrong(n.line, path, fmt.Sprintf("has text %.40q; want elements", strings.TrimSpace(n.text)))
	}
	for _, c := range n.children {
		f := s.byXML(c.name)
		switch {
		case f == nil && r.lax:
			f = guess(v, c)
		case f == nil:
			return nil, unknown(c.line, path, c.name, s.names(true))
		case !f.list && v.has(f.json):
			return nil, wrong(c.line, path, fmt.Sprintf("has %q twice", c.name))
		}
		if r.lax && f.droppable && len(c.children) == 0 {
			continue
		}
		child, err := r.fromXML(c, f.of, below(path, f.xml))
		if err != nil {
			return nil, err
		}
		v.add(f, child)
	}
	return v, r.complete(v, path)
}

// guess makes a field for an element that is not known, or finds the one that was made for another of that name.
func guess(v *value, e *element) *field {
	for _, m := range v.members {
		if m.field.xml == e.name {
			return m.field
		}
	}
	if len(e.children) > 0 {
		return one(e.name, objectOf())
	}
	return one(e.name, anyText)
}

// scalar sets the value of what is no object.
func (r reader) scalar(v *value, said, path string) error {
	v.text = said
	switch v.shape.kind {
	case text:
		if len(v.shape.values) > 0 && !slices.Contains(v.shape.values, said) && !r.lax {
			return wrong(v.line, path, fmt.Sprintf("is %.80q; allowed: %s", said, strings.Join(v.shape.values, ", ")))
		}
	case number:
		v.text = strings.TrimSpace(said)
		if n, err := strconv.ParseInt(v.text, 10, 64); err != nil || n < v.shape.least && !r.lax {
			return wrong(v.line, path, fmt.Sprintf("is %.40q; want a whole number from %d", said, v.shape.least))
		}
	case boolean:
		if v.text = strings.TrimSpace(said); v.text != "true" && v.text != "false" {
			return wrong(v.line, path, fmt.Sprintf("is %.40q; want true or false", said))
		}
	case date:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(layout, strings.TrimSpace(said)); err == nil {
				v.text = t.UTC().Format(time.RFC3339)
				return nil
			}
		}
		return wrong(v.line, path, fmt.Sprintf("is %.40q; want a date such as 2030-01-01 or 2030-01-01T00:00:00Z", said))
	}
	return nil
}

// complete checks an object that has all its members, and puts them in order.
func (r reader) complete(v *value, path string) error {
	slices.SortStableFunc(v.members, func(a, b member) int {
		return v.shape.place(a.field) - v.shape.place(b.field)
	})
	if r.lax {
		return nil
	}
	if path == "" {
		path = "the document"
	}
	for _, f := range v.shape.fields {
		if f.required && !v.has(f.json) {
			return wrong(v.line, path, "has no "+f.json)
		}
	}
	if v.shape.check != nil {
		if said := v.shape.check(v); said != "" {
			return wrong(v.line, path, said)
		}
	}
	return nil
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func unknown(line int, path, name string, allowed []string) error {
	if path == "" {
		path = "the document"
	}
	if len(allowed) == 0 {
		return wrong(line, path, fmt.Sprintf("has %q; nothing is allowed there", name))
	}
	return wrong(line, path, fmt.Sprintf("has %q, which is unknown there; allowed: %s", name, strings.Join(allowed, ", ")))
}
