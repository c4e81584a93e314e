package access

import (
	"slices"
	"strings"
)

// scope is what an action is about.
type scope uint8

const (
	ofObjects scope = iota // its resource is an object
	ofListing              // its resource is the bucket; what it shows are objects, of s3:prefix
	ofBucket               // its resource is the bucket
)

// action is one of S3 (service authorization reference, "Actions, resources, and condition keys for Amazon S3").
type action struct {
	name   string // without "s3:"
	scope  scope
	phrase string // what somebody may; of objects and listings "objects ..." follows. Actions with one phrase are told as one
	vague  bool   // the phrase says more than one of its actions alone
}

// actions are those that a bucket policy can name, in the order in which they are told.
var actions = slices.Concat(
	of(ofObjects, "read", "GetObject"),
	of(ofListing, "list", "ListBucket"),
	of(ofObjects, "write", "PutObject"),
	of(ofObjects, "delete", "DeleteObject"),
	of(ofObjects, "read old versions of", "GetObjectVersion"),
	of(ofListing, "list old versions of", "ListBucketVersions"),
	of(ofObjects, "delete old versions of", "DeleteObjectVersion"),
	of(ofObjects, "see properties of", "GetObjectAttributes", "GetObjectVersionAttributes"),
	of(ofObjects, "see tags of", "GetObjectTagging", "GetObjectVersionTagging"),
	of(ofObjects, "change tags of", "PutObjectTagging", "PutObjectVersionTagging", "DeleteObjectTagging", "DeleteObjectVersionTagging"),
	of(ofObjects, "see the ACL of", "GetObjectAcl", "GetObjectVersionAcl"),
	of(ofObjects, "change the ACL of", "PutObjectAcl", "PutObjectVersionAcl"),
	of(ofObjects, "see retention and legal hold of", "GetObjectRetention", "GetObjectLegalHold"),
	of(ofObjects, "set the retention of", "PutObjectRetention"),
	of(ofObjects, "set the legal hold of", "PutObjectLegalHold"),
	of(ofObjects, "bypass the retention (GOVERNANCE) of", "BypassGovernanceRetention"),
	of(ofObjects, "restore archived", "RestoreObject"),
	of(ofObjects, "end unfinished uploads of", "AbortMultipartUpload"),
	of(ofObjects, "see parts of unfinished uploads of", "ListMultipartUploadParts"),
	of(ofListing, "list unfinished uploads of", "ListBucketMultipartUploads"),
	of(ofObjects, "get torrents of", "GetObjectTorrent", "GetObjectVersionTorrent"),
	of(ofObjects, "read for replication", "GetObjectVersionForReplication"),
	of(ofObjects, "replicate", "ReplicateObject", "ReplicateDelete", "ReplicateTags", "ObjectOwnerOverrideToBucketOwner", "InitiateReplication"),
	of(ofBucket, "see where the bucket is", "GetBucketLocation"),
	of(ofBucket, "see the policy of the bucket", "GetBucketPolicy", "GetBucketPolicyStatus"),
	of(ofBucket, "change the policy of the bucket", "PutBucketPolicy", "DeleteBucketPolicy"),
	of(ofBucket, "see the ACL of the bucket", "GetBucketAcl", "GetBucketOwnershipControls"),
	of(ofBucket, "change the ACL of the bucket", "PutBucketAcl", "PutBucketOwnershipControls"),
	of(ofBucket, "see what is blocked for everybody", "GetBucketPublicAccessBlock"),
	of(ofBucket, "change what is blocked for everybody", "PutBucketPublicAccessBlock"),
	vaguely("see settings of the bucket", "GetBucketVersioning", "GetBucketTagging", "GetBucketCORS", "GetBucketLogging", "GetBucketNotification",
		"GetBucketObjectLockConfiguration", "GetBucketRequestPayment", "GetBucketWebsite", "GetLifecycleConfiguration", "GetEncryptionConfiguration",
		"GetReplicationConfiguration", "GetAccelerateConfiguration", "GetAnalyticsConfiguration", "GetInventoryConfiguration", "GetMetricsConfiguration",
		"GetIntelligentTieringConfiguration"),
	vaguely("change settings of the bucket", "PutBucketVersioning", "PutBucketTagging", "PutBucketCORS", "PutBucketLogging", "PutBucketNotification",
		"PutBucketObjectLockConfiguration", "PutBucketRequestPayment", "PutBucketWebsite", "DeleteBucketWebsite", "PutLifecycleConfiguration",
		"PutEncryptionConfiguration", "PutReplicationConfiguration", "PutAccelerateConfiguration", "PutAnalyticsConfiguration",
		"PutInventoryConfiguration", "PutMetricsConfiguration", "PutIntelligentTieringConfiguration"),
	of(ofBucket, "listen to events of the bucket", "ListenBucketNotification"), // MinIO's
	of(ofBucket, "create the bucket", "CreateBucket"),
	of(ofBucket, "delete the bucket", "DeleteBucket"),
)

func of(s scope, phrase string, names ...string) []action {
	var all []action
	for _, name := range names {
		all = append(all, action{name: name, scope: s, phrase: phrase})
	}
	return all
}

func vaguely(phrase string, names ...string) []action {
	all := of(ofBucket, phrase, names...)
	for i := range all {
		all[i].vague = true
	}
	return all
}

// isNamed reports whether one of the patterns of a statement is for the action. Case does not count there.
func (a action) isNamed(patterns []string) bool {
	return slices.ContainsFunc(patterns, func(text string) bool {
		p, ok := parsePattern(strings.ToLower(text), false)
		return ok && p.covers(literal(strings.ToLower("s3:"+a.name)))
	})
}

// strange are the patterns that name no known action: nobody knows what they are about.
func strange(patterns []string) []string {
	var all []string
	for _, text := range patterns {
		if !slices.ContainsFunc(actions, func(a action) bool { return a.isNamed([]string{text}) }) {
			all = append(all, text)
		}
	}
	return all
}

// phrases are what actions let somebody do; those of a vague phrase that are not all there follow it.
func phrases(some []action) []string {
	var all []string
	for _, a := range some {
		if slices.ContainsFunc(all, func(s string) bool { return s == a.phrase || strings.HasPrefix(s, a.phrase+" (") }) {
			continue
		}
		same := func(in []action) (names []string) {
			for _, b := range in {
				if b.phrase == a.phrase {
					names = append(names, b.name)
				}
			}
			return names
		}
		if here := same(some); a.vague && len(here) < len(same(actions)) {
			all = append(all, a.phrase+" ("+strings.Join(here, ", ")+")")
		} else {
			all = append(all, a.phrase)
		}
	}
	return all
}

func withScope(some []action, in ...scope) []action {
	var all []action
	for _, a := range some {
		if slices.Contains(in, a.scope) {
			all = append(all, a)
		}
	}
	return all
}
