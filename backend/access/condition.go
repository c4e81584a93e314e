package access

import (
	"net/netip"
	"slices"
	"strings"
)

// condition is one operator with one key.
type condition struct {
	operator string // without its set and its "IfExists"
	key      string
	values   []string
	set      string // "ForAnyValue", "ForAllValues" or empty
	ifExists bool
}

func newCondition(operator, key string, values []string) condition {
	c := condition{operator: operator, key: key, values: values}
	if set, rest, ok := strings.Cut(operator, ":"); ok {
		c.set, c.operator = set, rest
	}
	if rest, ok := strings.CutSuffix(c.operator, "IfExists"); ok {
		c.operator, c.ifExists = rest, true
	}
	return c
}

// is compares names of keys and operators, whose case does not count.
func is(name string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// relations say what an operator asks of a key.
var relations = map[string]string{
	"StringEquals": "is", "StringNotEquals": "is not", "StringEqualsIgnoreCase": "is (in any case)", "StringNotEqualsIgnoreCase": "is not (in any case)",
	"StringLike": "matches", "StringNotLike": "does not match",
	"NumericEquals": "is", "NumericNotEquals": "is not", "NumericLessThan": "is less than", "NumericLessThanEquals": "is at most",
	"NumericGreaterThan": "is more than", "NumericGreaterThanEquals": "is at least",
	"DateEquals": "is", "DateNotEquals": "is not", "DateLessThan": "is before", "DateLessThanEquals": "is not after",
	"DateGreaterThan": "is after", "DateGreaterThanEquals": "is not before",
	"Bool": "is", "BinaryEquals": "is", "IpAddress": "is in", "NotIpAddress": "is not in",
	"ArnEquals": "matches", "ArnLike": "matches", "ArnNotEquals": "does not match", "ArnNotLike": "does not match",
}

// keyWords are what known keys are (IAM user guide, "AWS global condition context keys"; S3 user guide, "Condition keys for Amazon
// S3"). A key that ends in "/" has a name after it.
var keyWords = map[string]string{
	"aws:SourceIp": "the address of the client", "aws:VpcSourceIp": "the address of the client in its VPC", "aws:SourceVpc": "the VPC that the request comes from",
	"aws:SourceVpce": "the VPC endpoint that the request comes through", "aws:Referer": "the Referer that the client tells",
	"aws:UserAgent": "the User-Agent that the client tells", "aws:CurrentTime": "the time", "aws:EpochTime": "the time",
	"aws:PrincipalOrgID": "the organization of who asks", "aws:PrincipalOrgPaths": "the place of who asks in the organization",
	"aws:PrincipalArn": "who asks", "aws:PrincipalAccount": "the account of who asks", "aws:PrincipalType": "the kind of who asks",
	"aws:PrincipalTag/": "of who asks the tag ", "aws:username": "the user's name", "aws:userid": "the user's id",
	"aws:SourceAccount": "the account that a service asks for", "aws:SourceArn": "the resource that a service asks for", "aws:SourceOrgID": "the organization that a service asks for",
	"aws:CalledVia": "the service that asks for somebody", "aws:RequestedRegion": "the region", "aws:ResourceAccount": "the account of the bucket",
	"aws:MultiFactorAuthAge": "the seconds since a second factor was given",
	"s3:prefix":              "the prefix that is listed", "s3:delimiter": "the delimiter of a listing", "s3:max-keys": "the length of a listing",
	"s3:x-amz-acl": "the ACL that is set with it", "s3:x-amz-server-side-encryption": "the encryption that is asked for",
	"s3:x-amz-server-side-encryption-aws-kms-key-id":     "the KMS key that is asked for",
	"s3:x-amz-server-side-encryption-customer-algorithm": "the algorithm of the customer's own key",
	"s3:x-amz-storage-class":                             "the storage class that is asked for",
	"s3:x-amz-copy-source":                               "the source of a copy",
	"s3:x-amz-metadata-directive":                        "the metadata directive of a copy",
	"s3:x-amz-grant-read":                                "who is granted READ with it",
	"s3:x-amz-grant-full-control":                        "who is granted FULL_CONTROL with it",
	"s3:x-amz-content-sha256":                            "the checksum that is signed",
	"s3:VersionId":                                       "the version", "s3:ExistingObjectTag/": "of the object the tag ", "s3:RequestObjectTag/": "of the request the tag ",
	"s3:RequestObjectTagKeys": "a tag of the request",
	"s3:TlsVersion":           "the version of TLS", "s3:signatureversion": "the version of the signature", "s3:signatureAge": "the age of the signature in milliseconds",
	"s3:authType":         "how the request is signed",
	"s3:object-lock-mode": "the mode of the retention", "s3:object-lock-remaining-retention-days": "the days of retention that are left",
	"s3:object-lock-retain-until-date": "the end of the retention", "s3:object-lock-legal-hold": "the legal hold",
	"s3:DataAccessPointAccount": "the account of the access point", "s3:DataAccessPointArn": "the access point", "s3:AccessPointNetworkOrigin": "where the access point is reached from",
	"s3:ResourceAccount": "the account of the bucket", "s3:LocationConstraint": "the region", "s3:if-none-match": "If-None-Match", "s3:if-match": "If-Match",
}

// noun is what a key is; one that is not known is itself.
func noun(key string) string {
	for known, words := range keyWords {
		if strings.EqualFold(known, key) {
			return words
		}
		if strings.HasSuffix(known, "/") && len(key) > len(known) && strings.EqualFold(key[:len(known)], known) {
			return words + key[len(known):]
		}
	}
	return key
}

// words says what a condition asks for. An operator that is not known is told as it is written.
func (c condition) words() string {
	key, values := noun(c.key), join(eachShown(c.values), "or")
	yes := len(c.values) == 1 && is(c.values[0], "true")
	text := ""
	switch {
	case is(c.operator, "Null") && yes:
		text = key + " is not given"
	case is(c.operator, "Null"):
		text = key + " is given"
	case is(c.operator, "Bool") && is(c.key, "aws:SecureTransport"):
		text = map[bool]string{true: "the connection is encrypted (TLS)", false: "the connection is not encrypted (no TLS)"}[yes]
	case is(c.operator, "Bool") && is(c.key, "aws:MultiFactorAuthPresent"):
		text = map[bool]string{true: "a second factor was given", false: "no second factor was given"}[yes]
	case is(c.operator, "Bool") && is(c.key, "aws:PrincipalIsAWSService", "aws:ViaAWSService"):
		text = map[bool]string{true: "a service of Amazon asks", false: "no service of Amazon asks"}[yes]
	default:
		relation := ""
		for operator, words := range relations {
			if is(operator, c.operator) {
				relation = words
			}
		}
		if relation == "" {
			relation = c.operator
		}
		if c.negates() {
			values = join(eachShown(c.values), "nor")
		}
		text = key + " " + relation + " " + values
	}
	switch {
	case is(c.set, "ForAnyValue"):
		text = "for one of its values, " + text
	case is(c.set, "ForAllValues"):
		text = "for all of its values, " + text
	}
	if c.ifExists {
		text += ", or is not told"
	}
	return text
}

func eachShown(values []string) []string {
	var all []string
	for _, v := range values {
		all = append(all, shown(v))
	}
	return all
}

// negates reports whether the operator asks for what a key is not; it also holds where the key is not there.
func (c condition) negates() bool { return strings.Contains(strings.ToLower(c.operator), "not") }

// truth is whether a condition holds for somebody on the internet without credentials.
type truth uint8

const (
	depends truth = iota
	always
	never
)

// unknownOfAnybody are keys that a request without credentials does not have.
var unknownOfAnybody = []string{
	"aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:username", "aws:MultiFactorAuthPresent",
	"aws:MultiFactorAuthAge", "aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:PrincipalServiceName",
}

// anonymous evaluates a condition for somebody without credentials. A key that is not there meets what negates, and what asks for
// it only if it exists (IAM user guide, "IAM JSON policy elements: Condition operators").
func (c condition) anonymous() truth {
	hasTag := len(c.key) > len("aws:PrincipalTag/") && is(c.key[:len("aws:PrincipalTag/")], "aws:PrincipalTag/")
	switch {
	case is(c.key, "aws:PrincipalIsAWSService", "aws:ViaAWSService") && is(c.operator, "Bool"):
		return truthOf(len(c.values) == 1 && is(c.values[0], "false"))
	case !is(c.key, unknownOfAnybody...) && !hasTag:
		return depends
	case is(c.operator, "Null"):
		return truthOf(slices.ContainsFunc(c.values, func(v string) bool { return is(v, "true") }))
	case is(c.set, "ForAllValues"): // of no values
		return always
	default:
		return truthOf(c.ifExists || c.negates() && !is(c.set, "ForAnyValue"))
	}
}

func truthOf(holds bool) truth {
	if holds {
		return always
	}
	return never
}

// forAnonymous evaluates conditions that all have to be met, and returns those on which it depends.
func forAnonymous(all []condition) (truth, []condition) {
	var open []condition
	for _, c := range all {
		switch c.anonymous() {
		case never:
			return never, nil
		case depends:
			open = append(open, c)
		case always:
		}
	}
	if len(open) == 0 {
		return always, nil
	}
	return depends, open
}

// fixes reports whether a condition makes a statement one for some only, as Amazon sees it (S3 user guide, "The meaning of public").
func (c condition) fixes() bool {
	keys := []string{
		"aws:SourceIp", "aws:SourceArn", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceOwner", "aws:SourceAccount", "aws:userid",
		"aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:VpcSourceIp",
		"s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:DataAccessPointArn", "s3:DataAccessPointAccount",
	}
	if !is(c.key, keys...) || c.negates() || c.ifExists || is(c.operator, "Null") {
		return false
	}
	return !slices.ContainsFunc(c.values, func(v string) bool {
		if is(c.key, "aws:SourceIp") {
			return wide(v)
		}
		return strings.ContainsAny(v, "*?$")
	})
}

// wide reports whether a range of addresses is one that Amazon takes for everybody's.
func wide(addresses string) bool {
	prefix, err := netip.ParsePrefix(addresses)
	if err != nil {
		_, err := netip.ParseAddr(addresses)
		return err != nil
	}
	if prefix.Addr().Is4() {
		return prefix.Bits() < 8
	}
	return prefix.Bits() < 32
}

// conditionWords joins what has to be met.
func conditionWords(all []condition) string {
	var words []string
	for _, c := range all {
		words = append(words, c.words())
	}
	return strings.Join(words, ", and ")
}

// join makes an enumeration: "a, b or c".
func join(all []string, last string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " " + last + " " + all[len(all)-1]
}
