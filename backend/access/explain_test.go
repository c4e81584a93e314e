package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/objmount/objmount/backend"
)

// told is what a test wants of an explanation.
type told struct {
	name       string
	policy     string // its statements
	block      Block
	acl        *backend.ACL
	ignores    []string
	statements []string // sentences; after " / " why it is void, or a note
	grants     []string
	summary    []string
}

const readPub = `{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/pub/*"}`

var explained = []told{
	{name: "nothing", summary: []string{"Nobody but the owner can do anything."}},
	{name: "as policy set --anonymous read writes it", policy: `{"Sid": "objmountAnonymousObjects", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]},
		{"Sid": "objmountAnonymousList", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::b"]}`,
		statements: []string{"Everybody may read all objects.", "Everybody may list objects."},
		summary:    []string{"Everybody on the internet can read and list all objects."}},
	{name: "as policy set --anonymous read-write --prefix writes it", policy: `{"Effect": "Allow", "Principal": {"AWS": ["*"]},
		"Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], "Resource": ["arn:aws:s3:::b/pub/*"]},
		{"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::b"], "Condition": {"StringLike": {"s3:prefix": ["pub/*"]}}}`,
		statements: []string{"Everybody may read, write, delete, end unfinished uploads of and see parts of unfinished uploads of objects below pub/.",
			"Everybody may list objects, if the prefix that is listed matches pub/*."},
		summary: []string{"Everybody on the internet can read, list, write, delete, end unfinished uploads of and see parts of unfinished uploads of objects below pub/."}},
	{name: "everything, but for a directory and without removal", policy: `{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]},
		{"Effect": "Deny", "Principal": "*", "Action": ["s3:Get*", "s3:P*", "s3:R*", "s3:A*", "s3:By*", "s3:Ob*", "s3:In*", "s3:ListM*"], "Resource": "arn:aws:s3:::b/secret/*"},
		{"Effect": "Deny", "Principal": "*", "Action": "s3:Delete*", "Resource": "*"}, {"Effect": "Deny", "Principal": "*", "NotAction": ["s3:Get*", "s3:List*"], "Resource": "*"}`,
		statements: []string{"Everybody may do everything with all objects, and do everything with the bucket itself (list it, change it, delete it).", "-", "-", "-"},
		summary: []string{"Everybody on the internet can read, read old versions of, see properties of, see tags of, see the ACL of, see retention and legal hold of, see parts of unfinished uploads of, get torrents of and read for replication all objects except objects below secret/.",
			"Everybody on the internet can list, list old versions of and list unfinished uploads of all objects.",
			"Everybody on the internet can see where the bucket is, see the policy of the bucket, see the ACL of the bucket, see what is blocked for everybody, see settings of the bucket and listen to events of the bucket."}},
	{name: "TLS only", policy: readPub + `, {"Sid": "TLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`,
		statements: []string{"Everybody may read objects below pub/.",
			"Nobody may do everything with all objects, or do everything with the bucket itself (list it, change it, delete it), if the connection is not encrypted (no TLS)."},
		summary: []string{"Everybody on the internet can read objects below pub/, but not if the connection is not encrypted (no TLS)."}},
	{name: "addresses", policy: `{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
		"Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}, "NotIpAddress": {"aws:SourceIp": "192.0.2.7/32"}}}`,
		statements: []string{"Everybody may read all objects, and list objects, if the address of the client is in 192.0.2.0/24 or 2001:db8::/32, and the address of the client is not in 192.0.2.7/32."},
		summary:    []string{"Everybody on the internet can read and list all objects, but only if the address of the client is in 192.0.2.0/24 or 2001:db8::/32, and the address of the client is not in 192.0.2.7/32."}},
	{name: "other accounts, a service", policy: `{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "444455556666", "arn:aws:iam::111122223333:user/team/anna", "arn:aws:sts::111122223333:assumed-role/ci/job-1", "AIDAEXAMPLEEXAMPLE", "bob"],
		"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::111122223333:distribution/E1"}}}`,
		statements: []string{"Account 111122223333, account 444455556666, user anna of account 111122223333, session job-1 of role ci of account 111122223333, " +
			"the principal AIDAEXAMPLEEXAMPLE (a user or role that was removed), the principal bob or the service cloudfront.amazonaws.com may read all objects, " +
			"if the resource that a service asks for is arn:aws:cloudfront::111122223333:distribution/E1."},
		summary: []string{"Nobody but the owner and those whom the policy names can do anything: account 111122223333, account 444455556666, user anna of account 111122223333, " +
			"session job-1 of role ci of account 111122223333, the principal AIDAEXAMPLEEXAMPLE (a user or role that was removed), the principal bob and the service cloudfront.amazonaws.com."}},
	{name: "an organization is nobody without credentials", policy: `{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}`,
		statements: []string{"Everybody may read all objects, if the organization of who asks is o-1."}, summary: []string{"Nobody but the owner can do anything."}},
	{name: "denied for a directory under a condition", policy: readPub + `, {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/pub/in/*", "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}`,
		statements: []string{"-", "Nobody may read objects below pub/in/, if the address of the client is not in 192.0.2.0/24."},
		summary:    []string{"Everybody on the internet can read objects below pub/, but not objects below pub/in/ if the address of the client is not in 192.0.2.0/24."}},
	{name: "through one endpoint only", policy: readPub + `, {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}`,
		statements: []string{"-", "Nobody may do everything with all objects, if the VPC endpoint that the request comes through is not vpce-1."},
		summary:    []string{"Everybody on the internet can read objects below pub/, but not if the VPC endpoint that the request comes through is not vpce-1."}},
	{name: "NotPrincipal, NotResource, NotAction", policy: `{"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/private/*"},
		{"Effect": "Deny", "NotPrincipal": {"AWS": "444455556666"}, "Action": "s3:GetObject", "NotResource": ["arn:aws:s3:::b/*.jpg", "arn:aws:s3:::b/private/*"]}`,
		statements: []string{"Everybody but account 111122223333 may read all objects except objects below private/.",
			"Nobody but account 444455556666 may read all objects except objects that end in .jpg and objects below private/."},
		summary: []string{"Everybody on the internet can read objects that end in .jpg except objects below private/."}},
	{name: "stores that ignore them", ignores: []string{"NotPrincipal"}, policy: readPub + `, {"Effect": "Deny", "NotPrincipal": {"AWS": "444455556666"}, "Action": "s3:GetObject", "Resource": "*"}`,
		statements: []string{"-", "Nobody but account 444455556666 may read all objects. / the store takes NotPrincipal but does nothing with a statement that has it"},
		summary:    []string{"Everybody on the internet can read objects below pub/."}},
	{name: "common mistakes", policy: `{"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "arn:aws:s3:::b/*"},
		{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b"}, {"Effect": "Allow", "Principal": "*", "Action": "s3:Frobnicate", "Resource": "arn:aws:s3:::other/*"}`,
		statements: []string{"Everybody may read all objects. / s3:ListBucket has no effect: it is about the bucket, and the resource names objects only",
			"This allows nothing in this bucket. / s3:GetObject has no effect: it is about objects, and the resource names the bucket only",
			"This names other buckets only, and does nothing in this one."},
		summary: []string{"Everybody on the internet can read all objects."}},
	{name: "a policy of other buckets", policy: `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:*", "Resource": ["arn:aws:s3:::other", "arn:aws:s3:::bb/*"]},
		{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`,
		statements: []string{"This names other buckets only, and does nothing in this one.", "This names other buckets only, and does nothing in this one."},
		summary:    []string{"Nobody but the owner can do anything.", "The policy names other buckets only, and so does nothing here."}},
	{name: "denies nothing", policy: readPub + `, {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b"}`,
		statements: []string{"-", "This denies nothing in this bucket. / s3:GetObject has no effect: it is about objects, and the resource names the bucket only"},
		summary:    []string{"Everybody on the internet can read objects below pub/."}},
	{name: "one object, a name to match, a plain asterisk, another's directory", policy: `{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
		"Resource": ["arn:aws:s3:::b/a file", "arn:aws:s3:::*/log-????-*", "arn:aws:s3:::b/${*}x", "arn:aws:s3:::b/users/${aws:username}/*", "arn:aws-cn:s3:::b/cn*"]}`,
		statements: []string{`Everybody may read the object "a file", objects that match */log-????-*, objects that match log-????-*, the object *x, objects that begin with cn and what arn:aws:s3:::b/users/${aws:username}/* is for who asks.`},
		summary: []string{`Everybody on the internet can read the object "a file".`, "Everybody on the internet can read objects that match */log-????-*.",
			"Everybody on the internet can read objects that match log-????-*.", "Everybody on the internet can read the object *x.", "Everybody on the internet can read objects that begin with cn."}},
	{name: "uploads have to be encrypted", policy: `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": ["s3:PutObject", "s3:GetBucketCORS"], "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]},
		{"Effect": "Deny", "Principal": {"AWS": ["111122223333", "444455556666"]}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"},
		"StringNotLikeIfExists": {"s3:x-amz-storage-class": ["GLACIER", "DEEP_ARCHIVE"]}, "ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": "x"}, "Odd": {"my:key": [1, true]}}}`,
		statements: []string{"Account 111122223333 may write all objects, and see settings of the bucket (GetBucketCORS).",
			"Neither account 111122223333 nor account 444455556666 may write all objects, if for one of its values, a tag of the request is x, and the encryption that is asked for is not given, and my:key Odd 1 or true, " +
				"and the storage class that is asked for does not match GLACIER nor DEEP_ARCHIVE, or is not told."},
		summary: []string{"Nobody but the owner and those whom the policy names can do anything: account 111122223333."}},
	{name: "the public access block", block: Block{RestrictPublicBuckets: true, BlockPublicPolicy: true}, policy: readPub,
		statements: []string{"Everybody may read objects below pub/. / the public access block (RestrictPublicBuckets) leaves a bucket with a public policy to its owner's account and services of Amazon"},
		summary:    []string{"Nobody but the owner can do anything.", "The public access block makes void what would let everybody in."}},
	{name: "the public access block keeps other accounts out, too", block: Block{RestrictPublicBuckets: true}, policy: readPub + `, {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}`,
		statements: []string{"-", "Account 111122223333 may read all objects. / as long as the policy is public, the public access block (RestrictPublicBuckets) keeps out who is not of the owner's account"},
		summary: []string{"Nobody but the owner and those whom the policy names can do anything: account 111122223333.",
			"The public access block makes void what would let everybody in, and keeps out who is not of the owner's account."}},
	{name: "a policy for some addresses is not public", block: Block{RestrictPublicBuckets: true}, policy: `{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}`,
		statements: []string{"-"}, summary: []string{"Everybody on the internet can read all objects, but only if the address of the client is in 192.0.2.0/24."}},
	{name: "ACL of Amazon", acl: &backend.ACL{Owner: "me", Grants: []backend.Grant{{Grantee: "me", Permission: "FULL_CONTROL"}, {Grantee: backend.Everybody, Permission: "READ"},
		{Grantee: backend.EveryUser, Permission: "WRITE"}, {Grantee: "other", Name: "anna", Permission: "READ_ACP"}}},
		grants:  []string{"Everybody may list, list old versions of and list unfinished uploads of all objects.", "Every user of the store, of any account, may write all objects.", "The account anna may see the ACL of the bucket."},
		summary: []string{"Everybody on the internet can list, list old versions of and list unfinished uploads of all objects.", "Every user of the store, of any account, can write all objects."}},
	{name: "ACL that reaches the objects, and a policy that denies", acl: &backend.ACL{Owner: "me", Reaches: true, Grants: []backend.Grant{{Grantee: backend.Everybody, Permission: "READ"}}},
		policy:     `{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/pub/*"}`,
		statements: []string{"Nobody may read objects below pub/."}, grants: []string{"-"},
		summary: []string{"Everybody on the internet can read all objects except objects below pub/.", "Everybody on the internet can list, read old versions of, list old versions of and list unfinished uploads of all objects."}},
	{name: "ACL that is ignored", block: Block{IgnorePublicAcls: true}, acl: &backend.ACL{Owner: "me", Grants: []backend.Grant{{Grantee: backend.Everybody, Permission: "READ"}}},
		grants:  []string{"Everybody may list, list old versions of and list unfinished uploads of all objects. / the public access block (IgnorePublicAcls) takes ACLs that let everybody in as if they were not there"},
		summary: []string{"Nobody but the owner can do anything.", "The public access block makes void what would let everybody in."}},
}

func TestExplain(t *testing.T) {
	t.Parallel()
	sentences := func(all []Statement, want []string) []string {
		var got []string
		for i, s := range all {
			text := strings.Join(append([]string{s.Text}, append(s.Notes, s.Void)...), " / ")
			if text = strings.TrimSuffix(text, " / "); i < len(want) && want[i] == "-" {
				text = "-"
			}
			got = append(got, text)
		}
		return got
	}
	for _, test := range explained {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := Input{Bucket: "b", Block: test.block, ACL: test.acl, Ignores: test.ignores}
			if test.policy != "" {
				in.Policy = []byte(`{"Version": "2012-10-17", "Statement": [` + test.policy + `]}`)
			}
			e, err := Explain(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.statements, sentences(e.Statements, test.statements)); diff != "" {
				t.Errorf("statements:\n%s", diff)
			}
			if diff := cmp.Diff(test.grants, sentences(e.Grants, test.grants)); diff != "" {
				t.Errorf("grants:\n%s", diff)
			}
			if diff := cmp.Diff(test.summary, e.Summary); diff != "" {
				t.Errorf("summary:\n%s", diff)
			}
		})
	}
}

func TestExplainFields(t *testing.T) {
	t.Parallel()
	e, err := Explain(Input{Bucket: "b", Block: Block{BlockPublicAcls: true}, Policy: []byte(`{"Statement": {"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "s3:getobject",
		"Resource": "arn:aws:s3:::b/${*}/*", "Condition": {"StringLike": {"aws:Referer": ["https://a.example/*"]}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := Explanation{
		Bucket: "b",
		Statements: []Statement{{ID: "s", Effect: "allow", Who: "everybody", May: []string{"read"}, If: "the Referer that the client tells matches https://a.example/*", Public: true,
			Text: "Everybody may read objects that match ${*}/*, if the Referer that the client tells matches https://a.example/*."}},
		Everybody: []Access{{May: []string{"read"}, Objects: "objects that match ${*}/*", If: "the Referer that the client tells matches https://a.example/*", By: "policy",
			Text: "Everybody on the internet can read objects that match ${*}/*, but only if the Referer that the client tells matches https://a.example/*."}},
		Blocked: []string{"ACLs that let everybody in are refused (BlockPublicAcls)"},
		Summary: []string{"Everybody on the internet can read objects that match ${*}/*, but only if the Referer that the client tells matches https://a.example/*."},
	}
	if diff := cmp.Diff(want, e, cmpopts.IgnoreUnexported(Explanation{})); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"[]", "{", `{"Statement": 5}`, `{"Statement": [{"Condition": 1}]}`} {
		if _, err := Explain(Input{Policy: []byte(text)}); err == nil || !strings.HasPrefix(err.Error(), "the policy cannot be read: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	e, err := Explain(Input{Bucket: "b", Policy: []byte(`{"Version": "2012-10-17", "Statement": [` + readPub + `,
		{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/office/*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
		{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/in/*"},
		{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/pub/secret/*"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if !e.Public() {
		t.Error("it is not public")
	}
	some, err := Explain(Input{Bucket: "b", Policy: []byte(`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}}`)})
	if err != nil || some.Public() || len(some.Everybody) != 1 {
		t.Errorf("for some addresses: %+v, %v", some, err)
	}
	for _, test := range []struct {
		key   string
		below bool
		want  Extent
	}{
		{"pub/a", false, All}, {"pub/open/", true, All}, {"pub/", true, Some}, {"pub/secret/", true, Nothing}, {"pub/secret/a", false, Nothing},
		{"", true, Some}, {"office/a", false, Some}, {"in/a", false, Nothing}, {"other/", true, Nothing}, {"pub/*", false, All},
	} {
		if got := e.Readable(test.key, test.below); got != test.want {
			t.Errorf("%q (below: %t): %v, want %v", test.key, test.below, got, test.want)
		}
	}
}
