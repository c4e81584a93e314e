package access

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// policy is a bucket policy.
type policy struct {
	statements []statement
	variables  bool // "${...}" in its texts has a meaning
}

// statement is one of a policy.
type statement struct {
	id          string
	allow       bool
	who         who
	actions     []string // patterns
	notActions  bool     // all but those are meant
	resources   []string // patterns
	notResource bool
	conditions  []condition // all have to be met
}

// who is whom a statement is about.
type who struct {
	everybody bool
	names     []string // in words
	not       bool     // all but those are meant
}

// all reports whether who has no credentials is meant, too.
func (w who) all() bool { return w.everybody != w.not }

// texts is one text or a list of them; what else JSON has there is taken as it is written.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(data []byte) error {
	var many []json.RawMessage
	if json.Unmarshal(data, &many) != nil {
		many = []json.RawMessage{data}
	}
	*t = nil
	for _, item := range many {
		var s string
		if json.Unmarshal(item, &s) != nil {
			s = string(item)
		}
		*t = append(*t, s)
	}
	return nil
}

// rawStatement is a statement as it is written.
type rawStatement struct {
	Sid                     string
	Effect                  string
	Principal, NotPrincipal json.RawMessage
	Action, NotAction       texts
	Resource, NotResource   texts
	Condition               map[string]map[string]texts
}

func parsePolicy(text []byte) (policy, error) {
	var whole struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return policy{}, fmt.Errorf("the policy cannot be read: %w", err)
	}
	var all []rawStatement
	if whole.Statement != nil && json.Unmarshal(whole.Statement, &all) != nil {
		var one rawStatement
		if err := json.Unmarshal(whole.Statement, &one); err != nil {
			return policy{}, fmt.Errorf("the policy cannot be read: %w", err)
		}
		all = []rawStatement{one}
	}
	p := policy{variables: whole.Version == "2012-10-17"}
	for _, raw := range all {
		s := statement{id: raw.Sid, allow: raw.Effect == "Allow", actions: raw.Action, resources: raw.Resource}
		if raw.NotAction != nil {
			s.actions, s.notActions = raw.NotAction, true
		}
		if raw.NotResource != nil {
			s.resources, s.notResource = raw.NotResource, true
		}
		principal := raw.Principal
		if raw.NotPrincipal != nil {
			principal = raw.NotPrincipal
		}
		s.who = principals(principal)
		s.who.not = raw.NotPrincipal != nil
		for _, operator := range slices.Sorted(maps.Keys(raw.Condition)) {
			for _, key := range slices.Sorted(maps.Keys(raw.Condition[operator])) {
				s.conditions = append(s.conditions, newCondition(operator, key, raw.Condition[operator][key]))
			}
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

// principals reads the value of Principal: "*", or lists by kind.
func principals(text json.RawMessage) who {
	var w who
	var kinds map[string]texts
	if json.Unmarshal(text, &kinds) != nil {
		var plain texts
		if json.Unmarshal(text, &plain) == nil {
			kinds = map[string]texts{"AWS": plain}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, name := range kinds[kind] {
			if name == "*" && kind == "AWS" {
				w.everybody = true
				continue
			}
			w.names = append(w.names, principal(kind, name))
		}
	}
	return w
}

var (
	account     = regexp.MustCompile(`^(?:arn:[^:]*:iam::)?(\d{12})(?::root)?$`)
	inAccount   = regexp.MustCompile(`^arn:[^:]*:iam::(\d{12}):(user|role|group)/(?:.*/)?([^/]+)$`)
	session     = regexp.MustCompile(`^arn:[^:]*:sts::(\d{12}):assumed-role/([^/]+)/(.+)$`)
	nobodyAnym  = regexp.MustCompile(`^A(?:IDA|ROA)[0-9A-Z]{12,}$`)
	cloudFront  = regexp.MustCompile(`^arn:[^:]*:iam::cloudfront:user/CloudFront Origin Access Identity (\w+)$`)
	principalIs = map[string]string{"Service": "the service ", "Federated": "users of ", "CanonicalUser": "the account with the canonical id "}
)

// principal is a name of a Principal in words (IAM user guide, "AWS JSON policy elements: Principal").
func principal(kind, name string) string {
	if prefix, ok := principalIs[kind]; ok {
		return prefix + name
	}
	if m := account.FindStringSubmatch(name); m != nil {
		return "account " + m[1]
	}
	if m := inAccount.FindStringSubmatch(name); m != nil {
		return m[2] + " " + m[3] + " of account " + m[1]
	}
	if m := session.FindStringSubmatch(name); m != nil {
		return "session " + m[3] + " of role " + m[2] + " of account " + m[1]
	}
	if m := cloudFront.FindStringSubmatch(name); m != nil {
		return "the CloudFront access identity " + m[1]
	}
	if nobodyAnym.MatchString(name) {
		return "the principal " + name + " (a user or role that was removed)"
	}
	return "the principal " + shown(name)
}

// named reports whether a statement is about an action, be it by leaving it out of a NotAction.
func (s statement) named(a action) bool { return a.isNamed(s.actions) != s.notActions }

// somewhere is what a statement has as resources in one bucket.
type somewhere struct {
	bucket bool      // the bucket itself
	keys   []pattern // of objects; none: no objects
	but    bool      // all objects but those of keys
}

// objects reports whether it has any.
func (w somewhere) objects() bool {
	if w.but {
		return !slices.ContainsFunc(w.keys, func(p pattern) bool { return p.covers(pattern{anyText}) })
	}
	return len(w.keys) > 0
}

// inBucket says what of a bucket the resources of a statement are. The second result are resources that depend on who asks.
func (s statement) inBucket(bucket string, variables bool) (w somewhere, depend []string) {
	for _, text := range s.resources {
		p, ok := parsePattern(text, variables)
		if !ok {
			depend = append(depend, text)
			continue
		}
		arn := "arn:aws:s3:::" + bucket
		if parts := strings.SplitN(text, ":", 3); len(parts) == 3 && strings.HasPrefix(parts[1], "aws-") { // of China, of the government
			arn = "arn:" + parts[1] + ":s3:::" + bucket
		}
		w.bucket = w.bucket || p.covers(literal(arn))
		w.keys = append(w.keys, p.after(arn+"/")...)
	}
	w.keys = widest(w.keys)
	if s.notResource {
		w.bucket, w.but = !w.bucket, true
	}
	return w, depend
}
