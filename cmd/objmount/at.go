package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/past"
)

// pastTTL is how long names and attributes of the past are taken as known: it does not change.
const pastTTL = interval(24 * time.Hour)

// moment is a time in the past, as a flag takes it. Zero: none was given.
type moment struct {
	time.Time
	now func() time.Time // what "ago" counts from; its zone is that of times without one
}

func (m *moment) Set(text string) error {
	now := m.now().Truncate(time.Millisecond)
	t, ok := parseMoment(text, now)
	switch {
	case !ok:
		return errors.New(`want a time such as 2026-11-01T12:00:00Z, 2026-11-01, "2026-11-01 12:00", "3 days ago", 2h ago, yesterday (at this hour) or now`)
	case t.After(now):
		return fmt.Errorf("%s is in the future", t.Format(time.RFC3339))
	}
	m.Time = t
	return nil
}

func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return showMoment(m.Time)
}

func (*moment) Type() string { return "when" }

// showMoment is RFC 3339 with as many digits as there are.
func showMoment(t time.Time) string { return t.Format(time.RFC3339Nano) }

// atAttr is the time that is shown, for the log; nothing where it is now.
func (c *config) atAttr() slog.Attr {
	if c.at.IsZero() {
		return slog.Attr{}
	}
	return slog.String("at", c.at.String())
}

// shownSource is a source with the time that is shown of it, if it is not now.
func shownSource(source string, at time.Time) string {
	if at.IsZero() {
		return source
	}
	return source + " as of " + showMoment(at)
}

var (
	clockDate = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[t _]+(\d{1,2}:\d{2})(:\d{2}(?:\.\d+)?)?)?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?$`)
	agoWords  = regexp.MustCompile(`^((?:\d+ *[a-z]+[ ,]*?)+?) *ago$`)
	agoPart   = regexp.MustCompile(`(\d+) *([a-z]+)`)
	epochTime = regexp.MustCompile(`^@(\d{1,11})$`)
)

// parseMoment reads a time: that of RFC 3339, or parts of it (a day alone begins at midnight, and
// times without a zone are in that of now); a number of seconds since 1970 after "@"; and words
// that count back from now, with or without blanks. Days, weeks, months and years are those of the
// calendar: the hour of the day stays.
func parseMoment(text string, now time.Time) (time.Time, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "now":
		return now, true
	case "yesterday":
		return now.AddDate(0, 0, -1), true
	case "tomorrow":
		return now.AddDate(0, 0, 1), true
	}
	if part := epochTime.FindStringSubmatch(text); part != nil {
		n, err := strconv.ParseInt(part[1], 10, 64)
		return time.Unix(n, 0).In(now.Location()), err == nil
	}
	if part := agoWords.FindStringSubmatch(text); part != nil {
		return parseAgo(part[1], now)
	}
	part := clockDate.FindStringSubmatch(text)
	if part == nil {
		return time.Time{}, false
	}
	day, clock, seconds, zone := part[1], part[2], part[3], part[4]
	if clock == "" {
		clock = "0:00"
	}
	if seconds == "" {
		seconds = ":00"
	}
	const layout = "2006-01-02 15:04:05" // takes fractions of a second, and hours of one digit
	value := day + " " + clock + seconds
	switch zone {
	case "":
		t, err := time.ParseInLocation(layout, value, now.Location())
		return t, err == nil
	case "z", "utc", "gmt":
		zone = "+0000"
	}
	t, err := time.Parse(layout+" -0700", value+" "+strings.ReplaceAll(zone, ":", ""))
	return t, err == nil
}

// parseAgo counts "1 week 2 days" or "90m" back from now.
func parseAgo(words string, now time.Time) (time.Time, bool) {
	const most = 1_000_000
	for _, part := range agoPart.FindAllStringSubmatch(words, -1) {
		n, err := strconv.Atoi(part[1])
		if err != nil || n > most {
			return now, false
		}
		switch part[2] {
		case "s", "sec", "secs", "second", "seconds":
			now = now.Add(-time.Duration(n) * time.Second)
		case "m", "min", "mins", "minute", "minutes":
			now = now.Add(-time.Duration(n) * time.Minute)
		case "h", "hour", "hours":
			now = now.Add(-time.Duration(n) * time.Hour)
		case "d", "day", "days":
			now = now.AddDate(0, 0, -n)
		case "w", "week", "weeks":
			now = now.AddDate(0, 0, -7*n)
		case "month", "months":
			now = now.AddDate(0, -n, 0)
		case "y", "year", "years":
			now = now.AddDate(-n, 0, 0)
		default:
			return now, false
		}
	}
	return now, true
}

// applyAt sets what goes with --at: nothing can be changed, and nothing changes. What the configuration file says is about the present.
func (o *options) applyAt(given *pflag.FlagSet) {
	if o.at.IsZero() {
		return
	}
	o.readOnly = true
	o.consistency.value = "immutable"
	for name, ttl := range map[string]*interval{"metadata-ttl": &o.metadataTTL, "negative-ttl": &o.negativeTTL} {
		if !given.Changed(name) {
			*ttl = pastTTL
		}
	}
}

// pastDecides tells whether --at says what a flag's value is, that was not given as such.
func (c *config) pastDecides(name string) bool {
	return !c.at.IsZero() && slices.Contains([]string{"read-only", "consistency", "metadata-ttl", "negative-ttl"}, name)
}

// slotKind marks the slots of mounts that have nothing to upload. The past has its own, so that it
// does not take that of the present.
func (c *config) slotKind() string {
	switch {
	case !c.at.IsZero():
		return pastName
	case c.readOnly:
		return readOnlyName
	default:
		return ""
	}
}

// openPast puts the past between the filesystem and the store, if --at asks for it. A bucket that
// never kept versions is refused now; of a mount of every bucket, when it is entered.
func (p *parts) openPast(ctx context.Context) error {
	p.view = p.patient
	c := p.cfg
	if c.at.IsZero() {
		return nil
	}
	view := past.New(past.Config{Store: p.patient, At: c.at.Time, Entries: divideMemory(int64(c.memoryLimit)).entries / 10})
	p.view = view
	if c.src.bucket == "" {
		return nil
	}
	err := view.Keeps(ctx, c.src.bucket, c.src.prefix)
	if err == nil { // the right to list versions is one of its own
		_, err = view.List(ctx, backend.ListInput{Bucket: c.src.bucket, Prefix: c.src.prefix, MaxKeys: 1})
	}
	return explainPast(c.src, p.endpoint, err)
}

func explainPast(src source, endpoint string, err error) error {
	switch {
	case err == nil:
		return nil
	case backend.IsKind(err, backend.KindUnsupported):
		return fail(exitUnsupported, "--at: bucket %q at %s never kept versions, so there is nothing to show but its present", src.bucket, endpoint)
	case backend.IsKind(err, backend.KindPermission):
		return fail(exitCredentials, "--at: the credentials may not list the versions of %s at %s (%s); grant s3:ListBucketVersions, s3:GetObjectVersion and s3:GetBucketVersioning, "+
			"or use others with --profile", src, endpoint, reason(err))
	default:
		return explainStore(src, endpoint, false, err)
	}
}

// capabilitiesOf is what the filesystem may use of a bucket.
func (p *parts) capabilitiesOf(bucket string) backend.Capabilities {
	caps := p.knownCapabilities(bucket)
	if !p.cfg.at.IsZero() { // also of those that a mount of the present has remembered
		caps = past.Without(caps)
	}
	return caps
}
