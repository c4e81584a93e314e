package access

import "testing"

// TestConditionsForNobodyInParticular: what a condition is worth for a request without credentials, and whether it makes a policy one
// for some only.
func TestConditionsForNobodyInParticular(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		operator, key, value string
		anonymous            truth
		fixes                bool
	}{
		{"IpAddress", "aws:SourceIp", "192.0.2.0/24", depends, true},
		{"IpAddress", "AWS:sourceip", "192.0.2.7", depends, true},
		{"IpAddress", "aws:SourceIp", "0.0.0.0/0", depends, false},
		{"IpAddress", "aws:SourceIp", "10.0.0.0/8", depends, true},
		{"IpAddress", "aws:SourceIp", "2001::/16", depends, false},
		{"IpAddress", "aws:SourceIp", "2001:db8::/32", depends, true},
		{"IpAddress", "aws:SourceIp", "nonsense", depends, false},
		{"NotIpAddress", "aws:SourceIp", "192.0.2.0/24", depends, false},
		{"Bool", "aws:SecureTransport", "true", depends, false},
		{"StringLike", "aws:Referer", "https://a.example/*", depends, false},
		{"StringEquals", "aws:SourceVpce", "vpce-1", depends, true},
		{"StringLike", "aws:SourceVpce", "vpce-*", depends, false},
		{"StringEqualsIfExists", "aws:SourceVpce", "vpce-1", depends, false},
		{"StringEquals", "aws:PrincipalOrgID", "o-1", never, true},
		{"StringEqualsIfExists", "aws:PrincipalOrgID", "o-1", always, false},
		{"StringNotEquals", "aws:PrincipalOrgID", "o-1", always, false},
		{"ForAnyValue:StringNotEquals", "aws:PrincipalOrgPaths", "o-1/*", never, false},
		{"ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/", never, true},
		{"ForAllValues:StringLike", "aws:PrincipalOrgPaths", "o-1/*", always, false},
		{"Null", "aws:PrincipalArn", "true", always, false},
		{"Null", "aws:PrincipalArn", "false", never, false},
		{"StringEquals", "aws:PrincipalTag/team", "a", never, false},
		{"Bool", "aws:MultiFactorAuthPresent", "false", never, false},
		{"BoolIfExists", "aws:MultiFactorAuthPresent", "false", always, false},
		{"Bool", "aws:PrincipalIsAWSService", "true", never, false},
		{"Bool", "aws:PrincipalIsAWSService", "false", always, false},
	} {
		c := newCondition(test.operator, test.key, []string{test.value})
		if got := c.anonymous(); got != test.anonymous {
			t.Errorf("%s %s %s: %v, want %v", test.operator, test.key, test.value, got, test.anonymous)
		}
		if got := c.fixes(); got != test.fixes {
			t.Errorf("%s %s %s is for some only: %t, want %t", test.operator, test.key, test.value, got, test.fixes)
		}
	}
}

func TestConditionsInWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		operator, key string
		values        []string
		want          string
	}{
		{"StringEquals", "s3:ExistingObjectTag/state", []string{"open"}, "of the object the tag state is open"},
		{"NumericLessThan", "s3:TlsVersion", []string{"1.2"}, "the version of TLS is less than 1.2"},
		{"DateGreaterThan", "aws:CurrentTime", []string{"2027-01-01T00:00:00Z"}, "the time is after 2027-01-01T00:00:00Z"},
		{"Null", "s3:x-amz-server-side-encryption", []string{"true"}, "the encryption that is asked for is not given"},
		{"Null", "s3:x-amz-server-side-encryption", []string{"false"}, "the encryption that is asked for is given"},
		{"Bool", "aws:MultiFactorAuthPresent", []string{"true"}, "a second factor was given"},
		{"Bool", "aws:ViaAWSService", []string{"false"}, "no service of Amazon asks"},
		{"NotIpAddress", "aws:SourceIp", []string{"a", "b", "c"}, "the address of the client is not in a, b nor c"},
		{"ArnLikeIfExists", "aws:SourceArn", []string{"arn:aws:sns:*"}, "the resource that a service asks for matches arn:aws:sns:*, or is not told"},
		{"ForAllValues:StringEquals", "s3:RequestObjectTagKeys", []string{"a", "b"}, "for all of its values, a tag of the request is a or b"},
		{"StringEquals", "company:Level", []string{"a b"}, `company:Level is "a b"`},
		{"VersionGreaterThan", "aws:UserAgent", []string{"7"}, "the User-Agent that the client tells VersionGreaterThan 7"},
	} {
		if got := newCondition(test.operator, test.key, test.values).words(); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.operator, test.key, got, test.want)
		}
	}
}
