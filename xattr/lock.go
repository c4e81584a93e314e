package xattr

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// user.s3.retention is mode and date together, so that one attribute copies both whatever the order
// in which a program sets them; retention.mode and retention.until are its parts, by name only.

func retention(f *Facts) string {
	r := f.Object.Lock.Retention
	if r.Mode == backend.NoRetention {
		return ""
	}
	return string(r.Mode) + " " + instant(r.Until)
}

func retentionMode(f *Facts) string { return string(f.Object.Lock.Retention.Mode) }

func retentionUntil(f *Facts) string {
	if f.Object.Lock.Retention.Mode == backend.NoRetention {
		return ""
	}
	return instant(f.Object.Lock.Retention.Until)
}

func retentionListed(f *Facts) bool {
	return f.Object.Lock.Retention.Active(f.Now) && !givenByRule(f.Object, f.Bucket.Lock)
}

// ruleSlack is how far the date that a bucket's rule gives may be from the object's own and the rule's time: LastModified has
// whole seconds, the date has milliseconds on MinIO, and a store may take them at different moments of the request.
const ruleSlack = 5 * time.Second

// givenByRule tells whether an object has the retention that its bucket gives to everything: nobody chose it, so a copy gets
// what is given where it comes to lie.
func givenByRule(o backend.Object, rule *backend.BucketLock) bool {
	if rule == nil || rule.Mode == backend.NoRetention || o.Lock.Retention.Mode != rule.Mode || o.LastModified.IsZero() {
		return false
	}
	given := o.LastModified.AddDate(rule.Years, 0, rule.Days)
	return o.Lock.Retention.Until.Sub(given).Abs() <= ruleSlack
}

func setRetention(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	mode, until, found := strings.Cut(string(value), " ")
	if !found {
		return Request{}, a.refuse(ErrValue, `a mode and a date, such as "GOVERNANCE 2030-01-01T00:00:00Z" or "GOVERNANCE 30d"`)
	}
	return a.retain(p, mode, until, r)
}

func setRetentionMode(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	old := p.Lock.Retention
	if !old.Active(r.Now) {
		return Request{}, a.refuse(ErrValue, "there is no retention; set user.s3.retention.until first")
	}
	return a.retain(p, string(value), old.Until.Format(time.RFC3339), r)
}

func setRetentionUntil(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	mode := p.Lock.Retention.Mode
	if mode == backend.NoRetention {
		mode = backend.Governance
	}
	return a.retain(p, string(mode), string(value), r)
}

func (a Attribute) retain(p *backend.Properties, mode, until string, r Rules) (Request, error) {
	switch backend.RetentionMode(mode) {
	case backend.Governance, backend.Compliance:
	default:
		return Request{}, a.refuse(ErrValue, "the mode is GOVERNANCE or COMPLIANCE")
	}
	at, ok := parseUntil(until, r.Now)
	switch {
	case !ok:
		return Request{}, a.refuse(ErrValue, "the date is written as 2030-01-01T00:00:00Z, 30d or 1y")
	case !at.After(r.Now):
		return Request{}, a.refuse(ErrValue, "the date is not in the future")
	case !r.Capabilities.ObjectLock:
		return Request{}, a.refuse(ErrUnsupported, "the bucket has no object lock")
	}
	wanted := backend.Retention{Mode: backend.RetentionMode(mode), Until: at}
	if old := p.Lock.Retention; old.Mode == wanted.Mode && old.Until.Equal(at) {
		return Request{}, nil
	}
	p.Lock.Retention = wanted
	return Request{Change: ChangeRetention}, nil
}

var span = regexp.MustCompile(`^([1-9][0-9]{0,4})([dy])$`)

// parseUntil reads a date in RFC 3339, or a number of days or years from now. Whole seconds.
func parseUntil(s string, now time.Time) (time.Time, bool) {
	if found := span.FindStringSubmatch(s); found != nil {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			return time.Time{}, false
		}
		if found[2] == "y" {
			return now.UTC().AddDate(n, 0, 0).Truncate(time.Second), true
		}
		return now.UTC().AddDate(0, 0, n).Truncate(time.Second), true
	}
	at, err := time.Parse(time.RFC3339, s)
	return at.UTC().Truncate(time.Second), err == nil
}

func removeRetention(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if p.Lock.Retention.Mode == backend.NoRetention {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	p.Lock.Retention = backend.Retention{}
	return Request{Change: ChangeRetention}, nil
}

func legalHold(f *Facts) string {
	switch {
	case f.Object.Lock.LegalHold:
		return "on"
	case f.Capabilities.ObjectLock:
		return "off"
	}
	return ""
}

func legalHoldListed(f *Facts) bool { return f.Object.Lock.LegalHold }

func setLegalHold(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	on := string(value) == "on"
	switch {
	case !on && string(value) != "off":
		return Request{}, a.refuse(ErrValue, "on or off")
	case !r.Capabilities.ObjectLock:
		return Request{}, a.refuse(ErrUnsupported, "the bucket has no object lock")
	case on == p.Lock.LegalHold:
		return Request{}, nil
	}
	p.Lock.LegalHold = on
	return Request{Change: ChangeLegalHold}, nil
}

func removeLegalHold(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if !p.Lock.LegalHold {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	p.Lock.LegalHold = false
	return Request{Change: ChangeLegalHold}, nil
}
