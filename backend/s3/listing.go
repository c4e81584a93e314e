package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// listing is the answer to ListObjectsV2, as the store writes it. Its XML has no attributes that
// mean anything.
type listing struct {
	XMLName               xml.Name     `xml:"ListBucketResult"`
	EncodingType          string       `xml:"EncodingType"`
	IsTruncated           string       `xml:"IsTruncated"`
	NextContinuationToken string       `xml:"NextContinuationToken"`
	Contents              []listedKey  `xml:"Contents"`
	CommonPrefixes        []listedName `xml:"CommonPrefixes"`
}

type listedKey struct {
	Key          string `xml:"Key"`
	ETag         string `xml:"ETag"`
	Size         string `xml:"Size"`
	LastModified string `xml:"LastModified"`
	StorageClass string `xml:"StorageClass"`
}

type listedName struct {
	Prefix string `xml:"Prefix"`
}

// List implements backend.Lister.
func (s *Store) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	c := call{op: "ListObjectsV2", bucket: in.Bucket, repeat: repeatHarmless}
	if err := namedBucket(c.op, in.Bucket); err != nil {
		return backend.Page{}, err
	}
	var page backend.Page
	c.read = func(resp *http.Response) error {
		text, err := readText(resp)
		if err != nil {
			return err
		}
		said, err := parseListing(text)
		if err != nil {
			return err
		}
		page, err = said.page(in.Bucket)
		return err
	}
	resp, err := s.direct(ctx, c, http.MethodGet, listQuery(in), make(http.Header, 8))
	if err != nil {
		return backend.Page{}, err
	}
	_ = resp.Body.Close() // it was read
	if page.Next == noNext || page.Next != "" && page.Next == in.Token {
		return backend.Page{}, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: in.Bucket,
			Message: "the store says that there is more, but not where"}
	}
	return page, nil
}

// listQuery is the query of a listing; the signature puts it in order.
func listQuery(in backend.ListInput) string {
	query := "list-type=2&encoding-type=url"
	add := func(name, value string) {
		if value != "" {
			query += "&" + name + "=" + escape(value)
		}
	}
	add("prefix", in.Prefix)
	add("delimiter", in.Delimiter)
	add("continuation-token", in.Token)
	if in.Token == "" {
		add("start-after", in.StartAfter)
	}
	if in.MaxKeys > 0 {
		add("max-keys", strconv.Itoa(int(in.MaxKeys)))
	}
	return query
}

// readText reads a whole answer.
func readText(resp *http.Response) ([]byte, error) {
	const longest = 64 << 20 // a thousand keys of a KiB, each byte escaped, are less than 10 MiB
	var text bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= longest {
		text.Grow(int(n) + bytes.MinRead)
	}
	n, err := text.ReadFrom(io.LimitReader(resp.Body, longest+1))
	if err == nil && n > longest {
		err = errors.New("the answer is too long")
	}
	return text.Bytes(), err
}

// noNext is the token of a page that says that there is more, but not where. No store's token
// is a NUL: XML cannot carry it.
const noNext = "\x00"

func (l *listing) page(bucket string) (backend.Page, error) {
	name := nameDecoder(types.EncodingType(l.EncodingType))
	page := backend.Page{Objects: make([]backend.Object, len(l.Contents))}
	for i := range l.Contents {
		o := &l.Contents[i]
		key, err := name(o.Key)
		if err != nil {
			return page, err
		}
		obj := backend.Object{Bucket: bucket, Key: key, ETag: unquote(o.ETag), StorageClass: storageClass(o.StorageClass), TagCount: -1}
		if o.Size != "" {
			if obj.Size, err = strconv.ParseInt(o.Size, 10, 64); err != nil {
				return page, err
			}
		}
		if o.LastModified != "" {
			if obj.LastModified, err = time.Parse(time.RFC3339, o.LastModified); err != nil {
				return page, err
			}
		}
		page.Objects[i] = obj
	}
	for _, p := range l.CommonPrefixes {
		prefix, err := name(p.Prefix)
		if err != nil {
			return page, err
		}
		page.Prefixes = append(page.Prefixes, prefix)
	}
	if l.IsTruncated == "true" {
		page.Next = l.NextContinuationToken
		if page.Next == "" {
			page.Next = noNext
		}
	}
	return page, nil
}

// parseListing reads a listing's XML: quickly where it is as plain as stores write it, and
// with encoding/xml, which takes ten times as long, where it is not.
func parseListing(text []byte) (*listing, error) {
	if l, ok := (&scanner{text: text}).listing(); ok {
		return l, nil
	}
	l := new(listing)
	if err := xml.Unmarshal(text, l); err != nil {
		return nil, err
	}
	return l, nil
}

// scanner reads XML of elements and plain text, one token after the other. It does not know
// comments, CDATA, prefixes of names, attributes but xmlns, and entities but the predefined
// ones: then it gives up.
type scanner struct {
	text    []byte
	pos     int
	scratch []byte
}

type tokenKind uint8

const (
	tokenNone  tokenKind = iota // nothing that it knows
	tokenOpen                   // <name>
	tokenClose                  // </name>
	tokenEmpty                  // <name/>
	tokenEnd                    // the end of the text
)

// token skips blanks and reads a tag.
func (s *scanner) token() (tokenKind, []byte) {
	for s.pos < len(s.text) && isBlank(s.text[s.pos]) {
		s.pos++
	}
	if s.pos == len(s.text) {
		return tokenEnd, nil
	}
	length := bytes.IndexByte(s.text[s.pos:], '>')
	if s.text[s.pos] != '<' || length < 2 {
		return tokenNone, nil
	}
	tag := s.text[s.pos+1 : s.pos+length]
	s.pos += length + 1
	kind := tokenOpen
	switch {
	case tag[0] == '/':
		kind, tag = tokenClose, tag[1:]
	case tag[len(tag)-1] == '/':
		kind, tag = tokenEmpty, tag[:len(tag)-1]
	}
	name := tag
	if i := bytes.IndexByte(tag, ' '); i >= 0 {
		value, ok := bytes.CutPrefix(tag[i:], []byte(` xmlns="`))
		if name = tag[:i]; !ok || kind == tokenClose || !isURI(bytes.TrimSuffix(value, []byte{'"'})) || !bytes.HasSuffix(value, []byte{'"'}) {
			return tokenNone, nil
		}
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return tokenNone, nil
		}
	}
	if len(name) == 0 {
		return tokenNone, nil
	}
	return kind, name
}

// isURI reports whether a namespace is written as they are.
func isURI(text []byte) bool {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '-' || c > ':') && c != '_' {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// content reads the text of an element and its end tag.
func (s *scanner) content(name string) (string, bool) {
	length := bytes.IndexByte(s.text[s.pos:], '<')
	if length < 0 {
		return "", false
	}
	raw := s.text[s.pos : s.pos+length]
	s.pos += length
	text, ok := s.plain(raw)
	out := ""
	if string(text) == "STANDARD" {
		out = "STANDARD" // of every object, mostly
	} else {
		out = string(text)
	}
	kind, ends := s.token()
	return out, ok && kind == tokenClose && string(ends) == name
}

// plain resolves the entities of a text. The result is good until the next call.
func (s *scanner) plain(raw []byte) ([]byte, bool) {
	special, ascii := false, true
	for _, c := range raw {
		if c < ' ' && c != '\t' && c != '\n' {
			return nil, false
		}
		special, ascii = special || c == '&' || c == ']', ascii && c < utf8.RuneSelf
	}
	if !ascii && (!utf8.Valid(raw) || bytes.Contains(raw, []byte("\uFFFE")) || bytes.Contains(raw, []byte("\uFFFF"))) {
		return nil, false
	}
	if !special {
		return raw, true
	}
	out := s.scratch[:0]
	for len(raw) > 0 {
		if raw[0] == ']' && bytes.HasPrefix(raw, []byte("]]>")) {
			return nil, false
		}
		if raw[0] != '&' {
			out, raw = append(out, raw[0]), raw[1:]
			continue
		}
		end := bytes.IndexByte(raw, ';')
		if end < 0 {
			return nil, false
		}
		switch string(raw[1:end]) {
		case "quot", "#34", "#x22":
			out = append(out, '"')
		case "amp", "#38", "#x26":
			out = append(out, '&')
		case "lt", "#60":
			out = append(out, '<')
		case "gt", "#62":
			out = append(out, '>')
		case "apos", "#39", "#x27":
			out = append(out, '\'')
		default:
			return nil, false
		}
		raw = raw[end+1:]
	}
	s.scratch = out
	return out, true
}

// skip reads over what is left of an element that is not too deep.
func (s *scanner) skip(name []byte) bool {
	var open [8][]byte
	open[0] = name
	for depth := 1; depth > 0; {
		length := bytes.IndexByte(s.text[s.pos:], '<')
		if length < 0 {
			return false
		}
		if _, ok := s.plain(s.text[s.pos : s.pos+length]); !ok {
			return false
		}
		s.pos += length
		switch kind, tag := s.token(); {
		case kind == tokenOpen && depth < len(open):
			open[depth] = tag
			depth++
		case kind == tokenClose && bytes.Equal(tag, open[depth-1]):
			depth--
		case kind != tokenEmpty:
			return false
		}
	}
	return true
}

// fields reads the children of an element up to its end tag. field says where the text of one
// goes; children for which it says nil are skipped.
func (s *scanner) fields(name string, field func(child []byte) *string) bool {
	return s.children(name, func([]byte) elementReader { return nil }, field)
}

// elementReader reads an element with children of its own up to its end tag; empty: it was "<Name/>".
type elementReader func(empty bool) bool

// document reads a whole document; root, inner and field are those of children.
func (s *scanner) document(root string, inner func(child []byte) elementReader, field func(child []byte) *string) bool {
	s.head()
	if kind, name := s.token(); kind != tokenOpen || string(name) != root || !s.children(root, inner, field) {
		return false
	}
	kind, _ := s.token()
	return kind == tokenEnd
}

// children reads the children of an element up to its end tag. inner returns what reads an element with
// children of its own, nil for others; field returns where the text of an element goes, nil for those that are skipped.
func (s *scanner) children(name string, inner func(child []byte) elementReader, field func(child []byte) *string) bool {
	for {
		kind, child := s.token()
		if kind == tokenClose {
			return string(child) == name
		}
		if kind != tokenEmpty && kind != tokenOpen {
			return false
		}
		read, to := inner(child), field(child)
		ok := true
		switch {
		case read != nil:
			ok = read(kind == tokenEmpty)
		case kind == tokenEmpty && to != nil:
			*to = ""
		case kind == tokenEmpty:
		case to == nil:
			ok = s.skip(child)
		default:
			*to, ok = s.content(string(child))
		}
		if !ok {
			return false
		}
	}
}
