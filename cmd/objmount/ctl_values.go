package main

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/ctl"
)

// newMoment is a flag that takes a time of the past.
func newMoment() moment { return moment{now: time.Now} }

// orNil is the time of a request; nil: none was given.
func (m *moment) orNil() *time.Time {
	if m.IsZero() {
		return nil
	}
	t := m.UTC()
	return &t
}

// selector is a version id or a time, as a flag takes it. Which it is, the versions of the file tell.
type selector struct {
	ctl.Selector
	text string
}

func (s *selector) Set(text string) error {
	if text == "" {
		return errors.New("want the id of a version, or a time")
	}
	s.text, s.Selector = text, ctl.Selector{VersionID: text}
	if t, ok := parseMoment(text, time.Now()); ok {
		t = t.UTC()
		s.At = &t
	}
	return nil
}

func (s *selector) String() string { return s.text }

func (*selector) Type() string { return "id-or-time" }

// deadline is a time to come, as a flag takes it: 30d and the like count from when it is used.
type deadline struct {
	text string
	at   time.Time
	span span
}

// span is a time in the units of the calendar.
type span struct{ years, months, days int }

var spanText = regexp.MustCompile(`^(\d{1,5})(d|w|m|y)$`)

func (d *deadline) Set(text string) error {
	d.text = text
	if part := spanText.FindStringSubmatch(strings.ToLower(text)); part != nil {
		n, err := strconv.Atoi(part[1])
		d.span = map[string]span{"d": {days: n}, "w": {days: 7 * n}, "m": {months: n}, "y": {years: n}}[part[2]]
		return err
	}
	t, ok := parseMoment(text, time.Now())
	if !ok || !t.After(time.Now()) {
		return errors.New(`want a time to come, such as 30d, 6m, 1y, 2030-01-01 or 2030-01-01T12:00:00Z`)
	}
	d.at = t
	return nil
}

// from returns the time meant.
func (d *deadline) from(now time.Time) time.Time {
	if !d.at.IsZero() {
		return d.at
	}
	return now.AddDate(d.span.years, d.span.months, d.span.days)
}

func (d *deadline) String() string { return d.text }

func (*deadline) Type() string { return "when" }

// fromZero is a number from 0; without a default.
type fromZero struct {
	n     int
	given bool
}

func (c *fromZero) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return errors.New("want a number from 0, such as 3")
	}
	c.n, c.given = n, true
	return nil
}

func (c *fromZero) String() string {
	if !c.given {
		return ""
	}
	return strconv.Itoa(c.n)
}

func (*fromZero) Type() string { return "number" }

// amount is a number from 0 of a request; 0: none was given.
type amount struct{ of *int64 }

func (a amount) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return errors.New("want a number from 0, such as 1000")
	}
	*a.of = n
	return nil
}

func (a amount) String() string {
	if a.of == nil || *a.of == 0 { // pflag asks a zero value, too
		return ""
	}
	return strconv.FormatInt(*a.of, 10)
}

func (amount) Type() string { return "number" }

// byteRange is FIRST-LAST or FIRST-, bytes counted from 0, as in HTTP.
type byteRange struct {
	text          string
	first, length int64 // length 0: to the end
	given         bool
}

func (r *byteRange) Set(text string) error {
	wrong := errors.New("want FIRST-LAST or FIRST-, bytes counted from 0, such as 0-1023")
	from, to, ok := strings.Cut(text, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if !ok || err != nil || first < 0 {
		return wrong
	}
	length := int64(0)
	if to != "" {
		last, err := strconv.ParseInt(to, 10, 64)
		if err != nil || last < first || last == math.MaxInt64 {
			return wrong
		}
		length = last - first + 1
	}
	*r = byteRange{text, first, length, true}
	return nil
}

func (r *byteRange) String() string { return r.text }

func (*byteRange) Type() string { return "first-last" }
