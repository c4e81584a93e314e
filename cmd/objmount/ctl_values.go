package main

import "time"

// moment is a point in time of the past, as a flag.
type moment struct {
	text string
	at   *time.Time // nil: not given
}

func (m *moment) Set(text string) error {
	at, err := parseMoment(text, time.Now())
	if err != nil {
		return err
	}
	m.text, m.at = text, &at
	return nil
}

func (m *moment) String() string { return m.text }

func (*moment) Type() string { return "time" }

func parseMoment(text string, _ time.Time) (time.Time, error) { return time.Parse(time.RFC3339, text) }
