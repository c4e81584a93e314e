package main

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // also where the system has no zones
)

// inZone is a zone with summer time and no whole number of hours.
func inZone(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestMoments(t *testing.T) {
	zone := inZone(t)
	now := time.Date(2026, 11, 21, 15, 30, 45, 500, zone)
	for text, want := range map[string]string{
		"now":                       "2026-11-21T15:30:45+10:30",
		"yesterday":                 "2026-11-20T15:30:45+10:30",
		"2026-11-01":                "2026-11-01T00:00:00+10:30",
		"2026-07-01":                "2026-07-01T00:00:00+09:30", // winter
		"2026-11-01 12:00":          "2026-11-01T12:00:00+10:30",
		"2026-11-01 9:05":           "2026-11-01T09:05:00+10:30",
		"2026-11-01T12:00:07":       "2026-11-01T12:00:07+10:30",
		"2026-11-01_12:00:07":       "2026-11-01T12:00:07+10:30",
		"2026-11-01T12:00:07Z":      "2026-11-01T12:00:07Z",
		"2026-11-01t12:00:07z":      "2026-11-01T12:00:07Z",
		"2026-11-01 12:00 UTC":      "2026-11-01T12:00:00Z",
		"2026-11-01Z":               "2026-11-01T00:00:00Z",
		"2026-11-01T12:00:07.123Z":  "2026-11-01T12:00:07.123Z",
		"2026-11-01T12:00:07+01:00": "2026-11-01T12:00:07+01:00",
		"2026-11-01 12:00 -0330":    "2026-11-01T12:00:00-03:30",
		"@1700000000":               "2023-11-15T08:43:20+10:30",
		"3 days ago":                "2026-11-18T15:30:45+10:30",
		"3daysago":                  "2026-11-18T15:30:45+10:30",
		"60 days ago":               "2026-09-22T15:30:45+09:30", // the hour of the day stays
		"90 minutes ago":            "2026-11-21T14:00:45+10:30",
		"2h ago":                    "2026-11-21T13:30:45+10:30",
		"1 Week ago":                "2026-11-14T15:30:45+10:30",
		"1 week 2 days ago":         "2026-11-12T15:30:45+10:30",
		"1 day, 1 hour ago":         "2026-11-20T14:30:45+10:30",
		"30s ago":                   "2026-11-21T15:30:15+10:30",
		"2 months ago":              "2026-09-21T15:30:45+09:30",
		"1y ago":                    "2025-11-21T15:30:45+10:30",
		" 0 s ago ":                 "2026-11-21T15:30:45+10:30",
	} {
		m := moment{now: func() time.Time { return now }}
		if err := m.Set(text); err != nil || m.String() != want {
			t.Errorf("%q is %q, %v; want %q", text, m.String(), err, want)
		}
	}
}

func TestBadMoments(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 30, 45, 0, time.UTC)
	for _, text := range []string{
		"", "today", "ago", "days ago", "3 ago", "3 days", "2h", "3 fortnights ago", "3 days 2 ago", "-3 days ago", "1.5 days ago", "99999999 days ago",
		"12:00", "2026-13-01", "2026-02-30", "2026-11-01 25:00", "2026-11-01 12:60", "2026-11-01 12", "2026-11", "01.11.2026", "11/01/2026",
		"2026-11-01T12:00:00+99:99x", "2026-11-01T12:00:00 CET", "@", "@-5", "1700000000", "2026-11-01x", "now ago", "3 days ago 2 hours",
	} {
		m := moment{now: func() time.Time { return now }}
		if err := m.Set(text); err == nil || !strings.Contains(err.Error(), "want a time such as") || !m.IsZero() {
			t.Errorf("%q is %q, %v; want an error that says what is wanted", text, m.String(), err)
		}
	}
	for _, text := range []string{"2026-11-21T15:30:46Z", "2026-11-22", "2026-11-21T16:31+01:00", "2026-11-21 15:31", "@99999999999", "tomorrow", "Tomorrow "} {
		m := moment{now: func() time.Time { return now }}
		if err := m.Set(text); err == nil || !strings.Contains(err.Error(), "is in the future") || !m.IsZero() {
			t.Errorf("%q is %q, %v; want that it is in the future", text, m.String(), err)
		}
	}
}

func TestAtGoesWithOtherFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--at", "1h ago"},
		{"-o", "at=3 days ago"},
		{"-o", "rw,at=3daysago"},
		{"--at", "2026-11-01T12:00:00Z", "-o", "at=nonsense", "--commit=background", "--consistency=ttl"},
		{"--at", "yesterday", "--metadata-ttl=1m"},
	} {
		o, flags, err := parse(t, false, args...)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		c, err := o.check(flags, []string{"s3://b", "/mnt"})
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		ttl := pastTTL
		if flags.Changed("metadata-ttl") {
			ttl = interval(time.Minute)
		}
		if c.at.IsZero() || !c.readOnly || c.consistency.value != "immutable" || c.metadataTTL != ttl || c.negativeTTL != pastTTL {
			t.Errorf("%q: at %v, read-only %v, %v, %v, %v", args, &c.at, c.readOnly, &c.consistency, &c.metadataTTL, &c.negativeTTL)
		}
	}
}
