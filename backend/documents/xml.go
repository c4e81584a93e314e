package documents

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

const xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// inXML writes a value as the body of a request.
func (v *value) inXML(root string) []byte {
	var b bytes.Buffer
	b.WriteString("<" + root + ` xmlns="` + xmlNamespace + `">`)
	v.writeXML(&b)
	b.WriteString("</" + root + ">")
	return b.Bytes()
}

// writeXML writes what is inside a value's element.
func (v *value) writeXML(b *bytes.Buffer) {
	if v.shape.kind != object {
		_ = xml.EscapeText(b, []byte(v.text)) // a buffer takes everything
		return
	}
	for _, m := range v.members {
		for _, item := range m.values {
			b.WriteString("<" + m.field.xml + ">")
			item.writeXML(b)
			b.WriteString("</" + m.field.xml + ">")
		}
	}
}

// element is a piece of XML.
type element struct {
	name     string
	line     int
	text     string
	children []*element
}

// xmlTree reads one element with all below it. Namespaces, attributes and comments say nothing in these documents.
func xmlTree(data []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var open []*element
	var root *element
	for {
		line, _ := d.InputPos()
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("there is no element")
			}
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				return nil, wrong(syntax.Line, "", "no XML: "+syntax.Msg)
			}
			return nil, wrong(line, "", err.Error())
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, line: line}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, wrong(line, "", "there is a second element")
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		}
	}
}
