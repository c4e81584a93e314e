package ctl

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Text is a string of any bytes, as keys and names are. In JSON it is a string where it is UTF-8,
// else an object: {"base64": "..."}.
type Text string

type encodedText struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(encodedText{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(data []byte) error {
	var plain string
	if err := json.Unmarshal(data, &plain); err == nil {
		*t = Text(plain)
		return nil
	}
	var e encodedText
	if err := json.Unmarshal(data, &e); err != nil || e.Base64 == nil {
		return errors.New(`want a string, or {"base64": ...} for bytes that are no UTF-8`)
	}
	*t = Text(e.Base64)
	return nil
}
