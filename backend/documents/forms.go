package documents

import (
	"fmt"
	"strings"

	"github.com/objmount/objmount/backend"
)

// form is a document with XML.
type form struct {
	root string // the element; as a wrapper also in what some commands of the AWS CLI print
	of   *shape
}

var forms = map[backend.BucketDoc]form{
	backend.LifecycleDoc:    {"LifecycleConfiguration", lifecycle},
	backend.NotificationDoc: {"NotificationConfiguration", notification},
	backend.EncryptionDoc:   {"ServerSideEncryptionConfiguration", encryption},
	backend.ReplicationDoc:  {"ReplicationConfiguration", replication},
	backend.ObjectLockDoc:   {"ObjectLockConfiguration", objectLock},
	backend.CORSDoc:         {"CORSConfiguration", cors},
	backend.PublicAccessDoc: {"PublicAccessBlockConfiguration", publicAccess},
}

var (
	status = oneOf("Enabled", "Disabled")
	tag    = objectOf(one("Key", anyText).must(), one("Value", anyText).must())

	sizes = []*field{one("ObjectSizeGreaterThan", natural), one("ObjectSizeLessThan", count)}
)

// DelMarkerExpiration and ExpiredObjectAllVersions are MinIO's.
var lifecycle = objectOf(many("Rules", "Rule", objectOf(
	one("ID", anyText),
	one("Prefix", anyText),
	one("Filter", objectOf(append([]*field{
		one("Prefix", anyText), one("Tag", tag),
		one("And", objectOf(append([]*field{one("Prefix", anyText), many("Tags", "Tag", tag)}, sizes...)...)),
	}, sizes...)...).with(atMostOne("Prefix", "Tag", "And", "ObjectSizeGreaterThan", "ObjectSizeLessThan"))),
	one("Status", status).must(),
	one("Expiration", objectOf(
		one("Date", aDate), one("Days", count), one("ExpiredObjectDeleteMarker", aBool), one("ExpiredObjectAllVersions", aBool),
	).with(exactlyOne("Date", "Days", "ExpiredObjectDeleteMarker"))),
	many("Transitions", "Transition", objectOf(
		one("Date", aDate), one("Days", natural), one("StorageClass", anyText).must(),
	).with(exactlyOne("Date", "Days"))),
	many("NoncurrentVersionTransitions", "NoncurrentVersionTransition", objectOf(
		one("NoncurrentDays", natural).must(), one("StorageClass", anyText).must(), one("NewerNoncurrentVersions", count),
	)),
	one("NoncurrentVersionExpiration", objectOf(one("NoncurrentDays", count), one("NewerNoncurrentVersions", count)).
		with(atLeastOne("NoncurrentDays", "NewerNoncurrentVersions"))),
	one("AbortIncompleteMultipartUpload", objectOf(one("DaysAfterInitiation", count).must())),
	one("DelMarkerExpiration", objectOf(one("Days", count).must())),
).with(lifecycleRule)).must()).with(ownIDs)

// lifecycleRule wants to know to which objects what shall happen.
func lifecycleRule(v *value) string {
	if said := exactlyOne("Filter", "Prefix")(v); said != "" {
		return said + ` (for all objects: "Filter": {"Prefix": ""})`
	}
	return atLeastOne("Expiration", "Transitions", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration",
		"AbortIncompleteMultipartUpload", "DelMarkerExpiration")(v)
}

func target(name, element string) *shape {
	return objectOf(
		one("Id", anyText), one(name, anyText).as(element).must(), many("Events", "Event", anyText).must(),
		one("Filter", objectOf(one("Key", objectOf(many("FilterRules", "FilterRule", objectOf(
			one("Name", oneOf("prefix", "suffix", "Prefix", "Suffix")).must(), one("Value", anyText).must(),
		)))).as("S3Key"))),
	)
}

var notification = objectOf(
	many("TopicConfigurations", "TopicConfiguration", target("TopicArn", "Topic")),
	many("QueueConfigurations", "QueueConfiguration", target("QueueArn", "Queue")),
	many("LambdaFunctionConfigurations", "CloudFunctionConfiguration", target("LambdaFunctionArn", "CloudFunction")),
	one("EventBridgeConfiguration", objectOf()),
)

var encryption = objectOf(many("Rules", "Rule", objectOf(
	one("ApplyServerSideEncryptionByDefault", objectOf(
		one("SSEAlgorithm", oneOf("AES256", "aws:kms", "aws:kms:dsse")).must(), one("KMSMasterKeyID", anyText),
	)),
	one("BucketKeyEnabled", aBool),
	one("BlockedEncryptionTypes", objectOf(many("EncryptionType", "EncryptionType", oneOf("NONE", "SSE-C")))),
)).must())

func switched(name string) *field { return one(name, objectOf(one("Status", status).must())) }

// DeleteReplication is MinIO's.
var replication = objectOf(one("Role", anyText), many("Rules", "Rule", objectOf(
	one("ID", anyText),
	one("Priority", natural),
	one("Prefix", anyText),
	one("Filter", objectOf(
		one("Prefix", anyText), one("Tag", tag), one("And", objectOf(one("Prefix", anyText), many("Tags", "Tag", tag))),
	).with(atMostOne("Prefix", "Tag", "And"))),
	one("Status", status).must(),
	one("SourceSelectionCriteria", objectOf(switched("SseKmsEncryptedObjects"), switched("ReplicaModifications"))),
	switched("ExistingObjectReplication"),
	one("Destination", objectOf(
		one("Bucket", anyText).must(), one("Account", anyText), one("StorageClass", anyText),
		one("AccessControlTranslation", objectOf(one("Owner", oneOf("Destination")).must())),
		one("EncryptionConfiguration", objectOf(one("ReplicaKmsKeyID", anyText))),
		one("ReplicationTime", objectOf(one("Status", status).must(), one("Time", objectOf(one("Minutes", count))).must())),
		one("Metrics", objectOf(one("Status", status).must(), one("EventThreshold", objectOf(one("Minutes", count))))),
	)).must(),
	switched("DeleteMarkerReplication"),
	switched("DeleteReplication"),
)).must()).with(ownIDs)

// VersityGW answers an empty Rule where there is none.
var objectLock = objectOf(
	one("ObjectLockEnabled", oneOf("Enabled")).must(),
	one("Rule", objectOf(one("DefaultRetention", objectOf(
		one("Mode", oneOf("GOVERNANCE", "COMPLIANCE")).must(), one("Days", count), one("Years", count),
	).with(exactlyOne("Days", "Years"))).must())).orEmpty(),
)

var cors = objectOf(many("CORSRules", "CORSRule", objectOf(
	one("ID", anyText),
	many("AllowedHeaders", "AllowedHeader", anyText),
	many("AllowedMethods", "AllowedMethod", oneOf("GET", "PUT", "POST", "DELETE", "HEAD")).must(),
	many("AllowedOrigins", "AllowedOrigin", anyText).must(),
	many("ExposeHeaders", "ExposeHeader", anyText),
	one("MaxAgeSeconds", natural),
)).must())

// publicAccess: what is left out is false (S3 API, "PutPublicAccessBlock").
var publicAccess = objectOf(
	one("BlockPublicAcls", aBool), one("IgnorePublicAcls", aBool), one("BlockPublicPolicy", aBool), one("RestrictPublicBuckets", aBool),
).with(atLeastOne("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"))

func howMany(v *value, names []string) (n int) {
	for _, name := range names {
		if v.has(name) {
			n++
		}
	}
	return n
}

func exactlyOne(names ...string) func(v *value) string {
	return func(v *value) string {
		if howMany(v, names) != 1 {
			return "needs exactly one of " + strings.Join(names, ", ")
		}
		return ""
	}
}

func atMostOne(names ...string) func(v *value) string {
	return func(v *value) string {
		if howMany(v, names) > 1 {
			return "may have only one of " + strings.Join(names, ", ")
		}
		return ""
	}
}

func atLeastOne(names ...string) func(v *value) string {
	return func(v *value) string {
		if howMany(v, names) == 0 {
			return "needs one of " + strings.Join(names, ", ")
		}
		return ""
	}
}

// ownIDs wants no id twice.
func ownIDs(v *value) string {
	seen := map[string]bool{}
	for _, rule := range v.get("Rules") {
		for _, id := range rule.get("ID") {
			if seen[id.text] {
				return fmt.Sprintf("has two rules with the ID %q", id.text)
			}
			seen[id.text] = true
		}
	}
	return ""
}
