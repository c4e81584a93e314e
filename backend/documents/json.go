package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// jsonKind is the type of a JSON value, as a person is told.
type jsonKind string

const (
	isObject jsonKind = "an object"
	isArray  jsonKind = "a list"
	isString jsonKind = "a text"
	isNumber jsonKind = "a number"
	isBool   jsonKind = "true or false"
	isNull   jsonKind = "null"
)

// node is a piece of JSON with the line where it ends, of an object or a list where it begins.
type node struct {
	kind    jsonKind
	line    int
	text    string // of a string, number or boolean
	members []named
	items   []*node
}

type named struct {
	name string
	*node
}

// jsonTree reads one value.
func jsonTree(data []byte) (*node, error) {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(any)); errors.As(err, &syntax) {
		return nil, wrong(lineAt(data, syntax.Offset), "", "no JSON: "+syntax.Error())
	} else if err != nil {
		return nil, wrong(1, "", "no JSON: "+err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	t := &treeBuilder{data: data, d: d}
	return t.value()
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset-1, 0), int64(len(data)))], []byte("\n"))
}

// treeBuilder reads what is known to be JSON.
type treeBuilder struct {
	data []byte
	d    *json.Decoder
}

func (t *treeBuilder) value() (*node, error) {
	token, err := t.d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: lineAt(t.data, t.d.InputOffset())}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			n.kind = isObject
		} else {
			n.kind = isArray
		}
		for t.d.More() {
			if err := t.inside(n); err != nil {
				return nil, err
			}
		}
		_, err = t.d.Token()
	case string:
		n.kind, n.text = isString, token
	case json.Number:
		n.kind, n.text = isNumber, token.String()
	case bool:
		n.kind, n.text = isBool, map[bool]string{true: "true", false: "false"}[token]
	default:
		n.kind = isNull
	}
	return n, err
}

// inside reads the next member or item.
func (t *treeBuilder) inside(n *node) error {
	if n.kind == isArray {
		item, err := t.value()
		n.items = append(n.items, item)
		return err
	}
	key, err := t.d.Token()
	if err != nil {
		return err
	}
	name, _ := key.(string) // JSON has no others
	child, err := t.value()
	n.members = append(n.members, named{name, child})
	return err
}

const indentation = "    " // of the AWS CLI

// inJSON writes a value with its members on lines of their own.
func (v *value) inJSON() []byte {
	var b bytes.Buffer
	v.writeJSON(&b, "")
	b.WriteByte('\n')
	return b.Bytes()
}

func (v *value) writeJSON(b *bytes.Buffer, indent string) {
	if v.shape.kind != object {
		if v.shape.kind == number || v.shape.kind == boolean {
			b.WriteString(v.text)
		} else {
			writeString(b, v.text)
		}
		return
	}
	if len(v.members) == 0 {
		b.WriteString("{}")
		return
	}
	inner := indent + indentation
	b.WriteString("{\n")
	for i, m := range v.members {
		b.WriteString(inner)
		writeString(b, m.field.json)
		b.WriteString(": ")
		if m.field.list || len(m.values) > 1 {
			b.WriteString("[\n")
			for j, item := range m.values {
				b.WriteString(inner + indentation)
				item.writeJSON(b, inner+indentation)
				b.WriteString(strings.Repeat(",", min(1, len(m.values)-1-j)) + "\n")
			}
			b.WriteString(inner + "]")
		} else {
			m.values[0].writeJSON(b, inner)
		}
		b.WriteString(strings.Repeat(",", min(1, len(v.members)-1-i)) + "\n")
	}
	b.WriteString(indent + "}")
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)         // a string always can be
	b.Truncate(b.Len() - 1) // the newline
}
