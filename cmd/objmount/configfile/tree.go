package configfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// node is a value of the file and where it is. Decoding into structs would end at the first value of a wrong type, and would not
// know where a value stands that is wrong only beside another.
type node struct {
	kind   unstable.Kind // Table for all kinds of tables, Array for all kinds of arrays
	at     int           // offset of the value; of the key where the value is a table or an array
	key    int           // offset of the key
	text   string        // of a string what it means, of the others what is written
	names  []string      // keys of a table, as they come
	fields map[string]*node
	items  []*node
}

// parse reads the file; nil: it is no TOML.
func (d *decoder) parse() *node {
	// The decoder of the library finds what breaks the rules between lines: keys and tables that come twice.
	var whole map[string]any
	if err := toml.Unmarshal(d.data, &whole); err != nil {
		d.syntax(err)
		return nil
	}
	p := unstable.Parser{}
	p.Reset(d.data)
	top := newTable(0)
	table := top
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			table.assign(e)
		case unstable.Table, unstable.ArrayTable:
			table = top.open(e)
		}
	}
	if err := p.Error(); err != nil {
		d.syntax(err)
		return nil
	}
	return top
}

// syntax reports what the library says.
func (d *decoder) syntax(err error) {
	e, ok := errors.AsType[*toml.DecodeError](err)
	if !ok {
		d.errs = append(d.errs, &Error{Path: d.path, Text: strings.TrimPrefix(err.Error(), "toml: ") + "; write it in TOML"})
		return
	}
	line, column := e.Position() // in bytes
	text := strings.TrimPrefix(e.Error(), "toml: ")
	at := d.starts[min(line, len(d.starts))-1] + column - 1
	if strings.Contains(text, "at start of key") && at < len(d.data) && d.data[at] >= utf8.RuneSelf { // the library takes a byte for a character
		letter, _ := utf8.DecodeRune(d.data[at:])
		d.bad(at, "a key with %q is written in quotes", letter)
		return
	}
	d.bad(at, "%s; %s", text, advice(text))
}

// advice is what to do about an error of the library.
func advice(text string) string {
	switch {
	case strings.Contains(text, "cannot have new lines"):
		return "the closing quote is missing in this line"
	case strings.Contains(text, "radix prefix"), strings.Contains(text, "after prefix"):
		return `the digits do not fit to 0x, 0o or 0b; modes are octal, such as "0755" in quotes`
	case strings.Contains(text, "already"):
		return "leave one of them out"
	case strings.Contains(text, "strings must be quoted"), strings.Contains(text, "at start of value"), strings.Contains(text, "incomplete"):
		return `text is written in quotes, key = "value", and a list in brackets, key = ["one", "two"]`
	case strings.Contains(text, "after key"), strings.Contains(text, "start of key"), strings.Contains(text, "table name"):
		return `a line is [table], key = value, or a # comment`
	}
	return "write it in TOML"
}

func newTable(at int) *node {
	return &node{kind: unstable.Table, at: at, key: at, fields: map[string]*node{}}
}

func (t *node) set(name string, n *node) {
	if _, found := t.fields[name]; !found {
		t.names = append(t.names, name)
	}
	t.fields[name] = n
}

// below returns the table under a key of t, made if there is none; of an array the last table.
func (t *node) below(key *unstable.Node) *node {
	name := string(key.Data)
	n := t.fields[name]
	if n != nil && n.kind == unstable.Array && len(n.items) > 0 {
		n = n.items[len(n.items)-1]
	}
	if n == nil || n.kind != unstable.Table {
		n = newTable(int(key.Raw.Offset))
		t.set(name, n)
	}
	return n
}

// open returns the table of a [header] or [[header]].
func (t *node) open(e *unstable.Node) *node {
	keys := e.Key()
	for keys.Next() {
		key := keys.Node()
		if !keys.IsLast() || e.Kind == unstable.Table {
			t = t.below(key)
			if keys.IsLast() {
				t.at, t.key = int(key.Raw.Offset), int(key.Raw.Offset)
			}
			continue
		}
		list := t.fields[string(key.Data)]
		if list == nil || list.kind != unstable.Array {
			list = &node{kind: unstable.Array, at: int(key.Raw.Offset), key: int(key.Raw.Offset)}
			t.set(string(key.Data), list)
		}
		item := newTable(int(key.Raw.Offset))
		list.items = append(list.items, item)
		t = item
	}
	return t
}

// assign puts the value of a key into a table.
func (t *node) assign(e *unstable.Node) {
	keys := e.Key()
	for keys.Next() {
		key := keys.Node()
		if !keys.IsLast() {
			t = t.below(key)
			continue
		}
		n := valueOf(e.Value(), int(key.Raw.Offset))
		n.key = int(key.Raw.Offset)
		t.set(string(key.Data), n)
	}
}

// valueOf copies a value of the parser.
func valueOf(v *unstable.Node, key int) *node {
	n := &node{kind: v.Kind, at: key, key: key}
	parts := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		n = newTable(key)
		for parts.Next() {
			n.assign(parts.Node())
		}
	case unstable.Array:
		for parts.Next() {
			n.items = append(n.items, valueOf(parts.Node(), key))
		}
	default:
		n.text, n.at = string(v.Data), int(v.Raw.Offset)
	}
	return n
}

// what names a kind of value in an error.
func (n *node) what() string {
	switch n.kind {
	case unstable.Table:
		return "a table"
	case unstable.Array:
		return "a list"
	case unstable.String:
		return "text"
	case unstable.Bool:
		return n.text
	case unstable.Integer, unstable.Float:
		return "the number " + n.text
	}
	return "the date " + n.text
}

// lineStarts returns the offsets at which the lines of a file begin.
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// position turns an offset into a line and a column in characters, both from 1.
func (d *decoder) position(offset int) (line, column int) {
	offset = min(max(offset, 0), len(d.data))
	for offset > 0 && offset < len(d.data) && !utf8.RuneStart(d.data[offset]) { // the library may point into a character
		offset--
	}
	line, found := slices.BinarySearch(d.starts, offset)
	if found {
		line++
	}
	return line, utf8.RuneCount(d.data[d.starts[line-1]:offset]) + 1
}

// bad reports an error at an offset.
func (d *decoder) bad(offset int, format string, args ...any) {
	line, column := d.position(offset)
	text := strings.NewReplacer("\n", " ", "\r", " ").Replace(fmt.Sprintf(format, args...))
	d.errs = append(d.errs, &Error{Path: d.path, Line: line, Column: column, Text: text})
}
