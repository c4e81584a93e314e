package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// Input is what a bucket has.
type Input struct {
	Bucket string
	Policy []byte       // in JSON; empty: none
	Block  Block        // zero: none
	ACL    *backend.ACL // nil: none, or not known
	// Ignores are elements ("NotAction", ...) that the store takes, while nothing comes of a statement that has them.
	Ignores []string
}

// Block is a public access block.
type Block struct{ BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool }

// Explanation is who may do what.
type Explanation struct {
	Bucket     string      `json:"bucket"`
	Statements []Statement `json:"statements"`       // of the policy
	Grants     []Statement `json:"grants,omitempty"` // of the ACL; those of the owner are left out
	// Everybody is what is possible without credentials, after denials and the public access block.
	Everybody []Access `json:"everybody"`
	Blocked   []string `json:"blocked,omitempty"` // what the public access block does, in words
	Summary   []string `json:"summary"`           // in words; the first is the most important

	ways []grant // of Everybody
}

// Statement is one of a policy, or a grant of an ACL, in words.
type Statement struct {
	ID     string   `json:"id,omitempty"`
	Effect string   `json:"effect"` // allow or deny
	Who    string   `json:"who"`
	May    []string `json:"may"`              // or, where the effect is deny, may not
	If     string   `json:"if,omitempty"`     // the conditions
	Text   string   `json:"text"`             // all of it as a sentence
	Void   string   `json:"void,omitempty"`   // why it has no effect
	Notes  []string `json:"notes,omitempty"`  // what may not be meant so
	Public bool     `json:"public,omitempty"` // it allows something to everybody, as Amazon understands it
}

// Access is something that is possible without credentials.
type Access struct {
	May     []string `json:"may"`               // read, list, write, delete, ...
	Objects string   `json:"objects,omitempty"` // which: "all objects", "objects below a/", ...; empty: it is about the bucket itself
	If      string   `json:"if,omitempty"`      // what has to be met
	Unless  []Unless `json:"unless,omitempty"`  // what takes it away
	By      string   `json:"by"`                // policy or ACL
	Text    string   `json:"text"`              // all of it as a sentence
}

// Unless takes away a part of an Access.
type Unless struct {
	Objects string `json:"objects,omitempty"` // from which; empty: from all
	If      string `json:"if"`                // what has to be met for that
}

// Explain says who may do what. An error means that the policy is none.
func Explain(in Input) (Explanation, error) {
	var p policy
	if len(in.Policy) > 0 {
		var err error
		if p, err = parsePolicy(in.Policy); err != nil {
			return Explanation{}, err
		}
	}
	out := Explanation{Bucket: in.Bucket, Statements: []Statement{}, Everybody: []Access{}}
	restricted := in.Block.RestrictPublicBuckets && slices.ContainsFunc(p.statements, statement.public)
	var named []string
	elsewhere := len(p.statements) > 0
	for i, s := range p.statements {
		told := s.explain(in.Bucket, p.variables)
		if element := s.ignored(in.Ignores); element != "" {
			told.Void = "the store takes " + element + " but does nothing with a statement that has it"
			p.statements[i].allow, p.statements[i].actions, p.statements[i].notActions = false, nil, false
		} else if restricted && s.allow && s.who.all() {
			told.Void = "the public access block (RestrictPublicBuckets) leaves a bucket with a public policy to its owner's account and services of Amazon"
		} else if restricted && s.allow {
			told.Notes = append(told.Notes, "as long as the policy is public, the public access block (RestrictPublicBuckets) keeps out who is not of the owner's account")
		}
		here := !s.elsewhere(in.Bucket, p.variables)
		elsewhere = elsewhere && !here
		if s.allow && !s.who.not && told.Void == "" && here {
			named = append(named, s.who.names...)
		}
		out.Statements = append(out.Statements, told)
	}
	out.Grants = explainGrants(in)
	out.Blocked = in.Block.words()
	out.ways = everybody(p, in, restricted)
	out.Everybody = grouped(out.ways)
	out.summarise(in, unique(named), restricted)
	if elsewhere {
		out.Summary = append(out.Summary, "The policy names other buckets only, and so does nothing here.")
	}
	return out, nil
}

// elsewhere reports whether a statement is surely about other buckets only.
func (s statement) elsewhere(bucket string, variables bool) bool {
	where, depend := s.inBucket(bucket, variables)
	return !where.bucket && !where.objects() && len(depend) == 0
}

// ignored returns the element for which a store ignores a statement.
func (s statement) ignored(elements []string) string {
	for name, has := range map[string]bool{"NotAction": s.notActions, "NotPrincipal": s.who.not, "NotResource": s.notResource} {
		if has && slices.Contains(elements, name) {
			return name
		}
	}
	return ""
}

// public reports whether a statement makes a policy a public one, as Amazon understands it.
func (s statement) public() bool {
	return s.allow && s.who.all() && !slices.ContainsFunc(s.conditions, condition.fixes)
}

func unique(all []string) []string {
	var kept []string
	for _, s := range all {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func (b Block) words() []string {
	var all []string
	for _, part := range []struct {
		on   bool
		says string
	}{
		{b.BlockPublicAcls, "ACLs that let everybody in are refused (BlockPublicAcls)"},
		{b.IgnorePublicAcls, "ACLs that let everybody in have no effect (IgnorePublicAcls)"},
		{b.BlockPublicPolicy, "policies that let everybody in are refused (BlockPublicPolicy)"},
		{b.RestrictPublicBuckets, "a policy that lets everybody in lets in the owner's account only (RestrictPublicBuckets)"},
	} {
		if part.on {
			all = append(all, part.says)
		}
	}
	return all
}

// summarise writes the few sentences that somebody reads who reads nothing else.
func (e *Explanation) summarise(in Input, named []string, restricted bool) {
	for _, a := range e.Everybody {
		e.Summary = append(e.Summary, a.Text)
	}
	void := slices.ContainsFunc(slices.Concat(e.Statements, e.Grants), func(s Statement) bool {
		return s.Void != "" && s.Public
	})
	users := usersMay(in)
	switch {
	case len(e.Everybody) > 0 && len(named) > 0:
		e.Summary = append(e.Summary, "The policy also names "+join(named, "and")+".")
	case len(e.Everybody) > 0:
	case len(named) > 0:
		e.Summary = append(e.Summary, "Nobody but the owner and those whom the policy names can do anything: "+join(named, "and")+".")
	case users != "":
		e.Summary = append(e.Summary, "Nobody without credentials can do anything.")
	default:
		e.Summary = append(e.Summary, "Nobody but the owner can do anything.")
	}
	if users != "" {
		e.Summary = append(e.Summary, users)
	}
	if void && (in.Block.IgnorePublicAcls || in.Block.RestrictPublicBuckets) {
		text := "The public access block makes void what would let everybody in"
		if restricted && len(named) > 0 {
			text += ", and keeps out who is not of the owner's account"
		}
		e.Summary = append(e.Summary, text+".")
	}
}

// explain tells a statement.
func (s statement) explain(bucket string, variables bool) Statement {
	where, depend := s.inBucket(bucket, variables)
	some := named(s)
	out := Statement{ID: s.id, Effect: map[bool]string{true: "allow", false: "deny"}[s.allow], Who: s.who.words(), Public: s.public()}
	objects, bucketOnly := withScope(some, ofObjects), withScope(some, ofListing, ofBucket)
	last := map[bool]string{true: "and", false: "or"}[s.allow]
	var what []string
	if len(objects) > 0 && (where.objects() || len(depend) > 0) {
		out.May = append(out.May, phrases(objects)...)
		what = append(what, verbs(objects, last)+" "+where.words(depend))
	}
	if len(bucketOnly) > 0 && where.bucket {
		for _, a := range withScope(bucketOnly, ofListing) {
			out.May = append(out.May, a.phrase+" objects")
		}
		out.May = append(out.May, phrases(withScope(bucketOnly, ofBucket))...)
		what = append(what, ofBucketWords(bucketOnly, last))
	}
	if unknown := strange(s.actions); len(unknown) > 0 && !s.notActions {
		out.May = append(out.May, unknown...)
		what = append(what, "do "+join(unknown, last))
	}
	out.If = conditionWords(s.conditions)
	out.Notes = s.doubts(where, len(depend) > 0)
	switch {
	case s.elsewhere(bucket, variables):
		out.May, out.Text = []string{}, "This names other buckets only, and does nothing in this one."
		return out
	case len(what) == 0 && s.allow:
		out.May, out.Text = []string{}, "This allows nothing in this bucket."
		return out
	case len(what) == 0:
		out.May, out.Text = []string{}, "This denies nothing in this bucket."
		return out
	}
	out.Text = s.who.subject(s.allow) + " " + strings.Join(what, ", "+last+" ")
	if out.If != "" {
		out.Text += ", if " + out.If
	}
	out.Text += "."
	return out
}

// named are the known actions that a statement is about.
func named(s statement) []action {
	return slices.DeleteFunc(slices.Clone(actions), func(a action) bool { return !s.named(a) })
}

// doubts are what is probably not meant so.
func (s statement) doubts(where somewhere, depends bool) []string {
	var notes []string
	for _, a := range actions {
		if s.notActions || !slices.ContainsFunc(s.actions, func(p string) bool { return strings.EqualFold(p, "s3:"+a.name) }) {
			continue
		}
		switch {
		case a.scope == ofObjects && !where.objects() && !depends && where.bucket:
			notes = append(notes, fmt.Sprintf("s3:%s has no effect: it is about objects, and the resource names the bucket only", a.name))
		case a.scope != ofObjects && !where.bucket && where.objects():
			notes = append(notes, fmt.Sprintf("s3:%s has no effect: it is about the bucket, and the resource names objects only", a.name))
		}
	}
	return notes
}

func (w who) words() string {
	names := join(w.names, "or")
	switch {
	case w.everybody && !w.not:
		return "everybody"
	case w.not && w.everybody:
		return "nobody"
	case w.not:
		return "everybody but " + names
	case names == "":
		return "nobody"
	}
	return names
}

// subject begins the sentence.
func (w who) subject(allow bool) string {
	who := w.words()
	switch {
	case allow:
		return capital(who) + " may"
	case who == "everybody":
		return "Nobody may"
	case strings.HasPrefix(who, "everybody but "):
		return "Nobody" + strings.TrimPrefix(who, "everybody") + " may"
	case len(w.names) > 1:
		return "Neither " + join(w.names, "nor") + " may"
	}
	return capital(who) + " may not"
}

func capital(text string) string {
	return strings.ToUpper(text[:1]) + text[1:]
}

// verbs are phrases before "objects".
func verbs(some []action, last string) string {
	if len(withScope(some, ofObjects)) == len(withScope(actions, ofObjects)) {
		return "do everything with"
	}
	return join(phrases(some), last)
}

// ofBucketWords are what actions on a bucket let somebody do.
func ofBucketWords(some []action, last string) string {
	if len(some) == len(withScope(actions, ofListing, ofBucket)) {
		return "do everything with the bucket itself (list it, change it, delete it)"
	}
	var all []string
	if listing := withScope(some, ofListing); len(listing) > 0 {
		all = append(all, join(phrases(listing), last)+" objects")
	}
	return join(append(all, phrases(withScope(some, ofBucket))...), last)
}

// words say which objects a statement is about.
func (w somewhere) words(depend []string) string {
	texts := make([]string, 0, len(w.keys)+len(depend))
	for _, p := range w.keys {
		texts = append(texts, p.words())
	}
	for _, text := range depend {
		texts = append(texts, "what "+shown(text)+" is for who asks")
	}
	switch {
	case w.but && len(texts) > 0:
		return "all objects except " + join(texts, "and")
	case w.but:
		return "all objects"
	}
	return join(texts, "and")
}
