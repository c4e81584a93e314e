package documents

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

const aPolicy = `{"Version": "2012-10-17", "Id": "p", "Statement": [{"Sid": "a<b", "Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"],
	"NotResource": "arn:aws:s3:::b/x", "Condition": {"Bool": {"aws:SecureTransport": true}, "StringEquals": {"aws:Referer": ["b", "a"]}}}, {"Effect": "Deny",
	"Principal": {"AWS": ["arn:2", "arn:1"], "Service": "s"}, "Action": "s3:*", "Resource": "*"}]}`

func TestPoliciesAreComparedByMeaning(t *testing.T) {
	t.Parallel()
	want := string(Comparable(backend.PolicyDoc, []byte(aPolicy)))
	if again := string(Comparable(backend.PolicyDoc, []byte(want))); again != want {
		t.Errorf("not the same again:\n%s", cmp.Diff(want, again))
	}
	for name, pairs := range map[string][]string{
		"principal":            {`"Principal": "*"`, `"Principal": {"AWS": "*"}`},
		"principal as a list":  {`"Principal": "*"`, `"Principal": {"AWS": ["*"]}`},
		"order of actions":     {`"s3:PutObject", "s3:GetObject"`, `"s3:GetObject", "s3:PutObject"`},
		"twice":                {`"s3:PutObject", "s3:GetObject"`, `"s3:GetObject", "s3:PutObject", "s3:GetObject"`},
		"order of principals":  {`["arn:2", "arn:1"]`, `["arn:1", "arn:2"]`},
		"a list of one":        {`"s3:*"`, `["s3:*"]`, `"Resource": "*"`, `"Resource": ["*"]`, `"Service": "s"`, `"Service": ["s"]`},
		"conditions":           {"true}", `["true"]}`, `["b", "a"]`, `["a", "b"]`},
		"order of members":     {`"Version": "2012-10-17", "Id": "p", `, `"Id": "p", "Version": "2012-10-17", `},
		"an empty Resource":    {`"NotResource"`, `"Resource": [], "NotResource"`},
		"the ID of MinIO":      {`"Id"`, `"ID"`},
		"nothing":              {"\n\t", " "},
		"escaped":              {"<", `\u003c`},
		"an empty Sid and all": {`"Effect": "Deny"`, `"Sid": "", "Condition": {}, "Effect": "Deny"`},
	} {
		other := strings.NewReplacer(pairs...).Replace(aPolicy)
		if diff := cmp.Diff(want, string(Comparable(backend.PolicyDoc, []byte(other)))); diff != "" || other == aPolicy {
			t.Errorf("%s: another policy:\n%s", name, diff)
		}
	}
	for name, pairs := range map[string][]string{
		"other principal": {`"Principal": "*"`, `"Principal": {"CanonicalUser": "*"}`},
		"principals":      {`"Principal": "*"`, `"Principal": {"AWS": ["*"], "Service": "s"}`},
		"all but all":     {`"Principal": "*"`, `"NotPrincipal": "*"`},
		"action":          {`"s3:*"`, `"s3:Get*"`},
		"condition":       {`["b", "a"]`, `["b"]`},
		"no condition":    {`"aws:Referer": ["b", "a"]`, ""},
		"Not":             {"NotResource", "Resource"},
		"unknown":         {`"Effect": "Deny"`, `"Effect": "Deny", "Odd": 1`},
		"effect":          {"Deny", "Allow"},
		"version":         {"2012", "2008"},
		"identifier":      {`"p"`, `"q"`},
	} {
		other := strings.NewReplacer(pairs...).Replace(aPolicy)
		if want == string(Comparable(backend.PolicyDoc, []byte(other))) || other == aPolicy {
			t.Errorf("%s: the same policy", name)
		}
	}
}

func TestWhatIsNoPolicyIsComparedAsItIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", "null", `{"Statement": [1]}`} {
		if got := string(Comparable(backend.PolicyDoc, []byte(text))); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := string(Comparable(backend.CORSDoc, []byte(aPolicy))); got != aPolicy {
		t.Errorf("no policy became %q", got)
	}
}
