package documents

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// examples are documents in the form that Parse returns, with the same in XML.
var examples = map[backend.BucketDoc]struct{ json, xml string }{
	backend.LifecycleDoc: {`{
    "Rules": [
        {
            "ID": "temporary",
            "Filter": {
                "And": {
                    "Prefix": "tmp/<&>",
                    "Tags": [
                        {
                            "Key": "a",
                            "Value": ""
                        },
                        {
                            "Key": "b",
                            "Value": "c"
                        }
                    ]
                }
            },
            "Status": "Enabled",
            "Expiration": {
                "Date": "2030-01-02T00:00:00Z"
            }
        },
        {
            "Filter": {
                "Prefix": ""
            },
            "Status": "Disabled",
            "NoncurrentVersionExpiration": {
                "NoncurrentDays": 5
            },
            "AbortIncompleteMultipartUpload": {
                "DaysAfterInitiation": 7
            }
        }
    ]
}
`, `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>temporary</ID>` +
		`<Filter><And><Prefix>tmp/&lt;&amp;&gt;</Prefix><Tag><Key>a</Key><Value></Value></Tag><Tag><Key>b</Key><Value>c</Value></Tag></And></Filter>` +
		`<Status>Enabled</Status><Expiration><Date>2030-01-02T00:00:00Z</Date></Expiration></Rule>` +
		`<Rule><Filter><Prefix></Prefix></Filter><Status>Disabled</Status><NoncurrentVersionExpiration><NoncurrentDays>5</NoncurrentDays>` +
		`</NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>` +
		`</Rule></LifecycleConfiguration>`},
	backend.NotificationDoc: {`{
    "QueueConfigurations": [
        {
            "QueueArn": "arn:minio:sqs::T1:webhook",
            "Events": [
                "s3:ObjectCreated:*",
                "s3:ObjectRemoved:*"
            ],
            "Filter": {
                "Key": {
                    "FilterRules": [
                        {
                            "Name": "suffix",
                            "Value": ".csv"
                        }
                    ]
                }
            }
        }
    ],
    "EventBridgeConfiguration": {}
}
`, `<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Queue>arn:minio:sqs::T1:webhook</Queue>` +
		`<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event><Filter><S3Key><FilterRule><Name>suffix</Name><Value>.csv</Value>` +
		`</FilterRule></S3Key></Filter></QueueConfiguration><EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>`},
	backend.EncryptionDoc: {`{
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "key"
            },
            "BucketKeyEnabled": true
        }
    ]
}
`, `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault>` +
		`<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>key</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>` +
		`<BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`},
	backend.ReplicationDoc: {`{
    "Role": "arn:aws:iam::1:role/r",
    "Rules": [
        {
            "Priority": 1,
            "Filter": {},
            "Status": "Enabled",
            "Destination": {
                "Bucket": "arn:aws:s3:::other"
            },
            "DeleteMarkerReplication": {
                "Status": "Disabled"
            }
        }
    ]
}
`, `<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Role>arn:aws:iam::1:role/r</Role><Rule><Priority>1</Priority>` +
		`<Filter></Filter><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::other</Bucket></Destination>` +
		`<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule></ReplicationConfiguration>`},
	backend.ObjectLockDoc: {`{
    "ObjectLockEnabled": "Enabled",
    "Rule": {
        "DefaultRetention": {
            "Mode": "GOVERNANCE",
            "Days": 2
        }
    }
}
`, `<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled>` +
		`<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>2</Days></DefaultRetention></Rule></ObjectLockConfiguration>`},
	backend.CORSDoc: {`{
    "CORSRules": [
        {
            "AllowedMethods": [
                "GET"
            ],
            "AllowedOrigins": [
                "*"
            ],
            "MaxAgeSeconds": 60
        }
    ]
}
`, `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><AllowedMethod>GET</AllowedMethod>` +
		`<AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`},
	backend.PublicAccessDoc: {`{
    "BlockPublicAcls": true,
    "IgnorePublicAcls": false,
    "RestrictPublicBuckets": true
}
`, `<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><BlockPublicAcls>true</BlockPublicAcls>` +
		`<IgnorePublicAcls>false</IgnorePublicAcls><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`},
}

// TestFormsAgree goes around: JSON, XML, the answer of a store, with and without the wrapper of the AWS CLI.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	for _, doc := range backend.EachBucketDoc() {
		if doc == backend.PolicyDoc {
			continue
		}
		e, ok := examples[doc]
		if !ok {
			t.Errorf("%v has no example", doc)
			continue
		}
		is := func(what string, got []byte, err error, want string) {
			t.Helper()
			if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
				t.Errorf("%v, %s: %v\n%s", doc, what, err, diff)
			}
		}
		got, err := Parse(doc, []byte(e.json))
		is("JSON", got, err, e.json)
		got, err = Parse(doc, []byte("\ufeff {\""+forms[doc].root+"\": "+e.json+"}"))
		is("wrapped JSON", got, err, e.json)
		got, err = Parse(doc, []byte("<?xml version=\"1.0\"?>\n"+e.xml))
		is("XML", got, err, e.json)
		got, err = Wire(doc, []byte(e.json))
		is("to send", got, err, e.xml)
		got, err = Read(doc, []byte(e.xml))
		is("answer", got, err, e.json)
	}
}

func TestAnswersAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		doc       backend.BucketDoc
		xml, want string
	}{
		{backend.NotificationDoc, `<NotificationConfiguration xmlns="x"></NotificationConfiguration>`, ""},
		{backend.ObjectLockDoc, `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule></Rule></ObjectLockConfiguration>`,
			"{\n    \"ObjectLockEnabled\": \"Enabled\"\n}\n"},
		{backend.CORSDoc, `<CORSConfiguration><New><A>1</A><A>2</A></New><CORSRule><AllowedMethod>PATCH</AllowedMethod></CORSRule></CORSConfiguration>`,
			`{
    "CORSRules": [
        {
            "AllowedMethods": [
                "PATCH"
            ]
        }
    ],
    "New": {
        "A": [
            "1",
            "2"
        ]
    }
}
`},
	} {
		got, err := Read(test.doc, []byte(test.xml))
		if diff := cmp.Diff(test.want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", test.xml, err, diff)
		}
	}
}

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	t.Parallel()
	const rule = `"Status": "Enabled", "Filter": {"Prefix": ""}, `
	for _, test := range []struct {
		doc            backend.BucketDoc
		document, want string
	}{
		{backend.CORSDoc, " \n", "the document is empty"},
		{backend.CORSDoc, "{\n\"CORSRules\": [\n}", "line 3: no JSON"},
		{backend.CORSDoc, "{\n\"CORSRule\": [\n]}", `the document has "CORSRule", which is unknown there; allowed: CORSRules`},
		{backend.CORSDoc, "{\"CORSRules\": []}", `line 1: the document has no CORSRules`},
		{backend.CORSDoc, "{\"CORSRules\": {}}", `line 1: CORSRules is an object; want a list`},
		{backend.CORSDoc, "[]", `line 1: is a list; want an object`},
		{backend.CORSDoc, `{"CORSRules": [{"AllowedOrigins": ["*"],` + "\n" + `"AllowedMethods": ["GET",` + "\n" + `"PATCH"]}]}`,
			`line 3: CORSRules[0].AllowedMethods[1] is "PATCH"; allowed: GET, PUT, POST, DELETE, HEAD`},
		{backend.CORSDoc, `{"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"],` + "\n\n" + `"MaxAgeSeconds": "5"}]}`,
			`line 3: CORSRules[0].MaxAgeSeconds is a text; want a number`},
		{backend.CORSDoc, `{"CORSRules": [null]}`, `CORSRules[0] is null; want an object`},
		{backend.LifecycleDoc, `{"Rules": [` + "\n" + `{` + rule + "\n" + `"Expiration": {"Day": 3}}]}`,
			`line 3: Rules[0].Expiration has "Day", which is unknown there; allowed: Date, Days, ExpiredObjectDeleteMarker`},
		{backend.LifecycleDoc, `{"Rules": [{` + rule + `"Expiration": {"Days": 0}}]}`, `Rules[0].Expiration.Days is "0"; want a whole number from 1`},
		{backend.LifecycleDoc, `{"Rules": [{` + rule + `"Expiration": {"Days": 1.5}}]}`, `is "1.5"; want a whole number`},
		{backend.LifecycleDoc, `{"Rules": [{` + rule + `"Expiration": {"Days": 1, "Date": "2030-01-01"}}]}`, `Rules[0].Expiration needs exactly one of Date, Days`},
		{backend.LifecycleDoc, `{"Rules": [{` + rule + `"Expiration": {"Date": "soon"}}]}`, `is "soon"; want a date such as 2030-01-01`},
		{backend.LifecycleDoc, `{"Rules": [{"Status": "Enabled", "Expiration": {"Days": 1}}]}`, `Rules[0] needs exactly one of Filter, Prefix`},
		{backend.LifecycleDoc, `{"Rules": [{"Status": "Enabled", "Prefix": ""}]}`, `Rules[0] needs one of Expiration, Transitions`},
		{backend.LifecycleDoc, `{"Rules": [{"ID": "a", ` + rule + `"Expiration": {"Days": 1}}, {"ID": "a", ` + rule + `"Expiration": {"Days": 1}}]}`, `has two rules with the ID "a"`},
		{backend.LifecycleDoc, `{"Rules": [{"Status": "On", "Status": "Off"}]}`, `is "On"; allowed: Enabled, Disabled`},
		{backend.LifecycleDoc, `{"Rules": [{"ID": "a", "ID": "b"}]}`, `Rules[0] has "ID" twice`},
		{backend.LifecycleDoc, "<CORSConfiguration/>", `line 1: the element is "CORSConfiguration"; want LifecycleConfiguration`},
		{backend.LifecycleDoc, "<LifecycleConfiguration>\n<Rule>\n<State>Enabled</State></Rule></LifecycleConfiguration>",
			`line 3: Rule has "State", which is unknown there; allowed: ID, Prefix, Filter, Status`},
		{backend.LifecycleDoc, "<LifecycleConfiguration>\n<Rule>", "line 2: no XML"},
		{backend.LifecycleDoc, "<LifecycleConfiguration>text<Rule/></LifecycleConfiguration>", `has text "text"`},
		{backend.LifecycleDoc, "<a/><b/>", "there is a second element"},
		{backend.ObjectLockDoc, `{"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}}}`,
			"Rule.DefaultRetention needs exactly one of Days, Years"},
		{backend.PublicAccessDoc, `{}`, "the document needs one of BlockPublicAcls, IgnorePublicAcls"},
		{backend.PublicAccessDoc, `{"BlockPublicAcl": true}`, `has "BlockPublicAcl", which is unknown there; allowed: BlockPublicAcls`},
		{backend.PublicAccessDoc, `{"BlockPublicAcls": "true"}`, "BlockPublicAcls is a text; want true or false"},
		{backend.PolicyDoc, "<a/>", "a policy is JSON"},
		{backend.PolicyDoc, `{"Version": "2013-10-17"}`, `Version is "2013-10-17"; allowed: 2012-10-17, 2008-10-17`},
		{backend.PolicyDoc, `{"Version": "2012-10-17"}`, "the policy has no Statement"},
		{backend.PolicyDoc, `{"Statement": []}`, "Statement is empty"},
		{backend.PolicyDoc, `{"Statement": [` + "\n" + `{"Effect": "allow"}]}`, `line 2: Statement[0].Effect is "allow"; allowed: Allow, Deny`},
		{backend.PolicyDoc, `{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`, "Statement[0] needs exactly one of Principal, NotPrincipal"},
		{backend.PolicyDoc, `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": []}}`, "Statement[0] needs exactly one of Resource, NotResource"},
		{backend.PolicyDoc, `{"Statement": {"Effect": "Allow", "Actions": "s3:*"}}`, `Statement[0] has "Actions", which is unknown there; allowed: Sid, Effect`},
		{backend.PolicyDoc, `{"Statement": {"Sid": "` + strings.Repeat("x", maxPolicy) + `", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}}`, "it may have 20480"},
	} {
		_, err := Parse(test.doc, []byte(test.document))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.200s:\n%v\nwant %s", test.document, err, test.want)
		}
		if _, sent := Wire(test.doc, []byte(test.document)); sent == nil {
			t.Errorf("%.200s would be sent", test.document)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	const short = `{"Version":"2012-10-17","Statement":[{"Resource":"arn:aws:s3:::b/*","Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Condition":{"StringLike":{"a":"<b>"}}}]}`
	long, err := Parse(backend.PolicyDoc, []byte(short))
	if err != nil || !strings.Contains(string(long), "\n    \"Statement\": [\n") || !strings.HasSuffix(string(long), "}\n") {
		t.Errorf("%v\n%s", err, long)
	}
	if back, err := Wire(backend.PolicyDoc, long); err != nil || string(back) != short {
		t.Errorf("%v\n%s", err, back)
	}
	if read, err := Read(backend.PolicyDoc, []byte(short+"\n")); err != nil || string(read) != string(long) {
		t.Errorf("%v\n%s", err, read)
	}
	const answered = `{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":[],"NotResource":["arn:aws:s3:::b/pub/*"]}]}`
	if got, err := Wire(backend.PolicyDoc, []byte(answered)); err != nil || string(got) != answered {
		t.Errorf("MinIO's own answer: %v\n%s", err, got)
	}
	wrapped := `{"Policy": "{\"Statement\": {\"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"s3:*\", \"Resource\": \"*\"}}"}`
	if got, err := Wire(backend.PolicyDoc, []byte(wrapped)); err != nil || string(got) != `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}` {
		t.Errorf("%v\n%s", err, got)
	}
}

func FuzzParse(f *testing.F) {
	for doc, e := range examples {
		f.Add(uint8(doc), []byte(e.json))
		f.Add(uint8(doc), []byte(e.xml))
	}
	f.Fuzz(func(t *testing.T, n uint8, document []byte) {
		all := backend.EachBucketDoc()
		doc := all[int(n)%len(all)]
		once, err := Parse(doc, document)
		if err != nil {
			return
		}
		twice, err := Parse(doc, once)
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q\nbecame\n%q\nand then (%v)\n%q", document, once, err, twice)
		}
	})
}
