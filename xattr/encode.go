package xattr

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// keyPrefix begins the metadata keys of user.NAME.
const keyPrefix = "xattr-"

// maxPiece is how long one value of user metadata becomes: Swift refuses longer ones.
const maxPiece = 256

// encoded begins values that are not kept as they are.
const encoded = "base64:"

// Two bytes have a short form after the hyphen, the others two hexadecimal digits. Neither form
// begins as the other, nor as "-z", which ends the name.
const (
	shortDot, shortHyphen, shortUnderscore = '-', 'm', 'u'
	endOfName                              = 'z'
)

// encodeName writes a name as (the end of) a metadata key with lower-case letters, digits and
// hyphens only: everybody keeps these.
func encodeName(name string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.WriteString(keyPrefix)
	for i := range len(name) {
		switch c := name[i]; {
		case plainByte(c):
			b.WriteByte(c)
		case c == '.':
			b.Write([]byte{'-', shortDot})
		case c == '-':
			b.Write([]byte{'-', shortHyphen})
		case c == '_':
			b.Write([]byte{'-', shortUnderscore})
		default:
			b.Write([]byte{'-', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func plainByte(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// pieceKey is the metadata key of the piece of a value, from 1.
func pieceKey(name string, piece int) string {
	if piece == 1 {
		return encodeName(name)
	}
	return encodeName(name) + "-" + string(endOfName) + strconv.Itoa(piece)
}

// decodeName undoes pieceKey. Only what pieceKey writes is understood.
func decodeName(key string) (name string, piece int, ok bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return "", 0, false
	}
	var b strings.Builder
	piece = 1
	for rest != "" && piece == 1 {
		switch {
		case rest[0] != '-':
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		case len(rest) < 2:
			return "", 0, false
		}
		code, width := rest[1], 2
		switch code {
		case shortDot:
			b.WriteByte('.')
		case shortHyphen:
			b.WriteByte('-')
		case shortUnderscore:
			b.WriteByte('_')
		case endOfName:
			n, err := strconv.ParseUint(rest[2:], 10, 16)
			if err != nil {
				return "", 0, false
			}
			piece, width = int(n), len(rest)
		default:
			c, err := strconv.ParseUint(rest[1:min(3, len(rest))], 16, 8)
			if err != nil {
				return "", 0, false
			}
			b.WriteByte(byte(c))
			width = 3
		}
		rest = rest[min(width, len(rest)):]
	}
	name = b.String()
	return name, piece, name != "" && piece > 0 && pieceKey(name, piece) == key
}

// encodeValue writes a value as pieces of printable ASCII without blanks at their ends, as it is
// when it is already that, else in base64. An empty value is marked too: stores lose empty metadata.
func encodeValue(value []byte) []string {
	if s := string(value); s != "" && !strings.HasPrefix(s, encoded) && !strings.Contains(s, "=?") {
		if pieces := split(s); plainPieces(pieces) {
			return pieces
		}
	}
	return split(encoded + base64.StdEncoding.EncodeToString(value))
}

func split(s string) (pieces []string) {
	for len(s) > maxPiece {
		pieces, s = append(pieces, s[:maxPiece]), s[maxPiece:]
	}
	return append(pieces, s)
}

func plainPieces(pieces []string) bool {
	for _, s := range pieces {
		if strings.TrimSpace(s) != s || !plainASCII(s) {
			return false
		}
	}
	return true
}

// decodeValue undoes encodeValue on the joined pieces. What encodeValue cannot have written is
// taken as it is.
func decodeValue(joined string) []byte {
	if coded, ok := strings.CutPrefix(joined, encoded); ok {
		if value, err := base64.StdEncoding.DecodeString(coded); err == nil {
			return value
		}
	}
	return []byte(joined)
}

// setPieces writes a value into metadata, over what it had before.
func setPieces(meta map[string]string, name string, value []byte) {
	deletePieces(meta, name)
	for i, piece := range encodeValue(value) {
		meta[pieceKey(name, i+1)] = piece
	}
}

// deletePieces removes a value from metadata, also pieces that were left alone.
func deletePieces(meta map[string]string, name string) (found bool) {
	for key := range meta {
		if n, _, ok := decodeName(key); ok && n == name {
			delete(meta, key)
			found = true
		}
	}
	return found
}

// joinPieces reads a value from metadata.
func joinPieces(meta map[string]string, name string) (value []byte, found bool) {
	first, found := meta[pieceKey(name, 1)]
	if !found {
		return nil, false
	}
	var b strings.Builder
	for piece := 1; found; piece++ {
		b.WriteString(first)
		first, found = meta[pieceKey(name, piece+1)]
	}
	return decodeValue(b.String()), true
}
