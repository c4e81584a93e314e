package s3

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// The vendors' names, as backend.Capabilities gives them.
const (
	vendorUnknown   = "unknown"
	vendorAWS       = "aws"
	vendorGCS       = "gcs"
	vendorR2        = "r2"
	vendorMinIO     = "minio"
	vendorVersityGW = "versitygw"
	vendorCeph      = "ceph"
	vendorSwift     = "swift"
	vendorRclone    = "rclone" // rclone serve s3
)

// vendor is what is known about a kind of server.
type vendor struct {
	name string
	// caps are the abilities that need no trial. Servers that people run themselves come in
	// many versions, so most of theirs are tried.
	caps backend.Capabilities
	// never are the abilities that are known to be missing or feigned, so that trying them
	// would be in vain or do harm.
	never []string
	// liar: it accepts what it ignores. Nothing is claimed and nothing is tried.
	liar bool

	versions   bool // ?versioning is understood, and ?versions somehow
	listing    bool // ?versions tells what S3 would
	objectLock bool // ?object-lock, ?retention, ?legal-hold and the headers of a lock are understood
	checksums  bool // x-amz-checksum-mode gives the CRC64NVME of an object back
	tags       bool // x-amz-tagging and ?tagging are understood, and answers have the number of tags
	acls       bool // ?acl is understood and tells the owner of an object
	bucketACLs bool // ?acl of a bucket is understood and has an effect
	aclsReach  bool // see backend.ACL.Reaches
	ownership  bool // ?ownershipControls is understood: without them a bucket has no ACLs
	partHeads  bool // a HEAD of a part tells its size, and how many there are
	restores   bool // ?restore is understood
	selects    bool // ?select is understood, be it to refuse it
	// blamesItself: a query that cannot be answered for what it finds in a row is an InternalError.
	blamesItself bool
	annotates    bool                // ?annotation, and ?encryption of an object, are understood
	location     bool                // ?location is understood
	encryption   bool                // ?encryption of a bucket is understood, be it to refuse it
	policies     bool                // ?policy is understood
	status       bool                // ?policyStatus is understood and tells the truth
	bucketTags   bool                // ?tagging of a bucket is understood
	docs         []backend.BucketDoc // that the vendor understands and keeps
	usage        bool                // a HEAD of a bucket tells how much is in it
	md5          bool                // DeleteObjects needs, or does not mind, a Content-MD5
	regions      bool                // CreateBucket takes the client's region as a LocationConstraint

	// cutsShort: the body of a PUT that breaks off is stored as if it had been whole, unless
	// the request has a checksum.
	cutsShort    bool
	copyForgets  bool // a plain copy loses Expires
	mixesReads   bool // a GET may tell the ETag of the version before
	markersMatch bool // conditions take a delete marker for the object it deleted
	// decodesTwice: UploadPartCopy decodes the key of its source twice, so that "%25" copies
	// "%" (and what is no escape then ends the server). Newer releases may not, so nothing
	// that is sent would be right for both.
	decodesTwice    bool
	dashes          bool // "_" in the keys of user metadata becomes "-"
	copyForgetsTags bool // a copy takes no tags
	// headsTrail: the end of a body follows the answer to a HEAD that failed, and the next
	// answer on that connection would begin with it.
	headsTrail bool
	// otherETags: a copy compares the ETag that its source should have with one of the server's
	// own, which is another for what was uploaded in parts.
	otherETags bool
	cutsRanges bool // UploadPartCopy copies less when the range reaches over the end
	// deleteBatch is how many keys one DeleteObjects gets: with more the server takes longer than
	// anybody waits for an answer. 0: all.
	deleteBatch int
	// versionedKey is how long a key may be in a bucket that keeps versions; a longer one is a
	// server error. 0: as long as elsewhere.
	versionedKey int64
	// metaValue is how long a value of user metadata may be, in bytes as it is sent. A longer
	// one, or more than Limits.MaxMeta altogether, is a server error. 0: the store says so itself.
	metaValue int
	// keepsRetention: a retention cannot be taken away, only be brought to an early end.
	keepsRetention bool
	// hidesLocks: the default retention of a bucket is enforced, but shown with no object, and a
	// HEAD with a version id shows no lock at all.
	hidesLocks bool
	// wholeKeys: a listing of versions that goes on from a key begins with that key again, and
	// one that goes on from a version loses what follows when that version is not there any more.
	// Versions and delete markers come apart.
	wholeKeys bool
	// beginsAt: a listing of versions that goes on from a key, and from no version, has that key;
	// from a version that is gone it goes on with the next key. And where it goes on is not encoded
	// as the keys are.
	beginsAt bool
	// timeIDs: version ids are times, and others are a server error.
	timeIDs bool
	// forgetsLocks: copies and what is uploaded in parts take no lock, and the latter no tags. But
	// a plain copy takes the lock of its source.
	forgetsLocks bool
	// sealsDirs: of encrypted objects whose keys end in a slash HEADs tell, and conditions want, the
	// ETag as it is kept, encrypted.
	sealsDirs bool
	// spoilsKeys: in a bucket that keeps versions a copy onto itself of an object with a key of SSE-C
	// has other bytes.
	spoilsKeys bool
	// deniesAll: DeleteObjects says of a locked version only that access is denied.
	deniesAll bool
	// encrypts: a write that asks for encryption gets it or is refused. All others are tried first
	// (VersityGW and Swift take what they are asked for, the key of SSE-C too, and store in clear).
	encrypts bool
	// keepsTags: to delete the tags of a current version does nothing in a bucket with versions.
	keepsTags bool
	// emptyPages: a page of one that goes on from a common prefix may be empty though more follows.
	emptyPages bool
	// noNullIDs: in a bucket that never kept versions "null" is nobody's version id, and to remove
	// a version by any id removes the object.
	noNullIDs         bool
	unclearCompletion bool // completing an unknown upload is a server error
	completeFakes     bool // CompleteMultipartUpload of an unknown upload succeeds when the key exists
}

// limits returns S3's with some of them changed.
func limits(change func(*backend.Limits)) backend.Limits {
	l := backend.S3Limits()
	l.MaxObject = 5 * backend.TiB
	if change != nil {
		change(&l)
	}
	return l
}

// unknownVendor keeps to what nearly all can: a thousand parts, not ten thousand.
var unknownVendor = &vendor{
	name: vendorUnknown, md5: true, regions: true,
	caps: backend.Capabilities{Limits: limits(func(l *backend.Limits) { l.MaxParts = 1000 })},
}

// vendors are the known ones. Facts about servers that can be run here were found by running
// them; those of services are their own documents'.
var vendors = map[string]*vendor{
	vendorAWS: {
		name: vendorAWS, encrypts: true, versions: true, regions: true, objectLock: true, checksums: true, tags: true,
		listing: true, acls: true, bucketACLs: true, ownership: true, partHeads: true, restores: true, selects: true, annotates: true,
		location: true, encryption: true, policies: true, status: true, bucketTags: true,
		docs: backend.EachBucketDoc(),
		caps: backend.Capabilities{
			PutIfNoneMatch: true, PutIfMatch: true, CompleteIfNoneMatch: true, CompleteIfMatch: true,
			CopySourceIfMatch: true, CopyPartIfMatch: true, DeleteIfMatch: true, GetIfMatch: true,
			PartCopy: true, DeleteMany: true, ChecksumCRC64: true, Tagging: true, Classes: true,
			FileAndPrefix: true, AnyKey: true, Underscores: true,
			Limits: backend.S3Limits(),
		},
	},
	vendorGCS: {
		name: vendorGCS, md5: true,
		caps:  backend.Capabilities{GetIfMatch: true, Classes: true, FileAndPrefix: true, AnyKey: true, Limits: limits(nil)},
		never: []string{"ChecksumCRC64", "Tagging"},
	},
	vendorR2: {
		name: vendorR2,
		docs: []backend.BucketDoc{backend.LifecycleDoc, backend.CORSDoc},
		caps: backend.Capabilities{
			GetIfMatch: true, Classes: true, FileAndPrefix: true, AnyKey: true, DeleteMany: true,
			Limits: limits(func(l *backend.Limits) { l.EqualParts = true; l.MaxMeta = 8 * backend.KiB }),
		},
	},
	vendorMinIO: {
		name: vendorMinIO, encrypts: true, versions: true, regions: true, objectLock: true, checksums: true, tags: true,
		listing: true, copyForgets: true, emptyPages: true, sealsDirs: true, spoilsKeys: true,
		// Its ?acl names nobody, and its ?policyStatus always says that nothing is public.
		partHeads: true, restores: true, selects: true, blamesItself: true, location: true, encryption: true, policies: true, bucketTags: true,
		docs: []backend.BucketDoc{backend.PolicyDoc, backend.LifecycleDoc, backend.NotificationDoc, backend.EncryptionDoc, backend.ReplicationDoc, backend.ObjectLockDoc},
		caps: backend.Capabilities{
			GetIfMatch: true, PartCopy: true, DeleteMany: true, Tagging: true, Classes: true,
			Limits: limits(func(l *backend.Limits) { l.MaxPut = 5 * backend.TiB; l.MaxCopy = 5 * backend.GiB }),
		},
		// DELETE ignores If-Match; a listing hides "a/b" when "a" exists; "x//y" is refused.
		never: []string{"DeleteIfMatch", "CopyDestination", "FileAndPrefix", "AnyKey"},
	},
	vendorVersityGW: {
		name: vendorVersityGW, versions: true, regions: true, objectLock: true, checksums: true, tags: true,
		cutsShort: true, mixesReads: true, markersMatch: true, completeFakes: true,
		keepsRetention: true, hidesLocks: true, listing: true, wholeKeys: true, noNullIDs: true,
		bucketACLs: true, aclsReach: true, ownership: true,
		partHeads: true, restores: true, selects: true, location: true, encryption: true, policies: true, status: true, bucketTags: true,
		docs: []backend.BucketDoc{backend.PolicyDoc, backend.ObjectLockDoc, backend.CORSDoc},
		caps: backend.Capabilities{GetIfMatch: true, PartCopy: true, DeleteMany: true, Tagging: true, Limits: limits(nil)},
		// Keys become paths: "x//y" overwrites "x/y".
		never: []string{"CopyDestination", "FileAndPrefix", "AnyKey"},
	},
	vendorCeph: {
		name: vendorCeph, versions: true, objectLock: true, tags: true, md5: true,
		decodesTwice: true, dashes: true, copyForgetsTags: true, unclearCompletion: true,
		// Not selects: release 18 ends itself over a query that it cannot read.
		acls: true, bucketACLs: true, location: true, policies: true, status: true, bucketTags: true, usage: true,
		listing: true, beginsAt: true, forgetsLocks: true, deniesAll: true, keepsTags: true, keepsRetention: true,
		docs: []backend.BucketDoc{backend.PolicyDoc, backend.LifecycleDoc, backend.NotificationDoc, backend.ObjectLockDoc, backend.CORSDoc, backend.PublicAccessDoc},
		caps: backend.Capabilities{
			GetIfMatch: true, PartCopy: true, DeleteMany: true, Tagging: true, Classes: true, FileAndPrefix: true, AnyKey: true,
			Limits: limits(nil),
		},
		never: []string{"Underscores"},
	},
	vendorSwift: {
		name: vendorSwift, versions: true, md5: true,
		dashes: true, headsTrail: true, otherETags: true, cutsRanges: true, versionedKey: 1006, metaValue: 256, deleteBatch: 50,
		// Not listing: once what was there before the versions is replaced it has another id, removing
		// several versions at once brings nothing back, and markers are missing.
		timeIDs: true,
		caps: backend.Capabilities{
			GetIfMatch: true, FileAndPrefix: true, AnyKey: true, DeleteMany: true,
			Limits: limits(func(l *backend.Limits) { l.MaxParts = 1000; l.MaxMeta = 2 * backend.KiB }),
		},
		// "_" becomes "-" only in what is uploaded in parts.
		never: []string{"PutIfNoneMatch", "PutIfMatch", "CompleteIfMatch", "CopySourceIfMatch", "CopyDestination", "ChecksumCRC64", "Tagging", "Underscores"},
	},
	vendorRclone: {name: vendorRclone, liar: true, md5: true, caps: backend.Capabilities{Limits: unknownVendor.caps.Limits}},
}

// Vendors returns the names that Config.Vendor takes, sorted.
func Vendors() []string { return slices.Sorted(maps.Keys(vendors)) }

// vendorNamed returns the vendor of a name, and nil for no name.
func vendorNamed(name string) (*vendor, error) {
	if name == "" {
		return nil, nil
	}
	if v := vendors[name]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("vendor %q is not known; there are %s", name, strings.Join(Vendors(), ", "))
}

// vendorHosts are the domains of services.
var vendorHosts = map[string]string{
	"amazonaws.com": vendorAWS, "amazonaws.com.cn": vendorAWS,
	"r2.cloudflarestorage.com": vendorR2, "storage.googleapis.com": vendorGCS,
}

// vendorOfHost returns the vendor that a host name tells, or nil. An empty host is Amazon.
func vendorOfHost(host string) *vendor {
	if host == "" {
		return vendors[vendorAWS]
	}
	for domain, name := range vendorHosts {
		if inDomain(host, domain) {
			return vendors[name]
		}
	}
	return nil
}

// vendorOfAnswer returns the vendor that an answer's header tells, or nil. "AmazonS3" is what
// every imitation calls itself, so it tells nothing.
func vendorOfAnswer(h http.Header) *vendor {
	server, id := strings.ToLower(h.Get("Server")), h.Get("X-Amz-Request-Id")
	switch {
	case strings.Contains(server, "minio"):
		return vendors[vendorMinIO]
	case strings.Contains(server, "versitygw"):
		return vendors[vendorVersityGW]
	case strings.Contains(server, "rclone"):
		return vendors[vendorRclone]
	case h.Get("X-Openstack-Request-Id") != "":
		return vendors[vendorSwift]
	case strings.Contains(server, "ceph") || strings.HasPrefix(id, "tx0000") && strings.Count(id, "-") >= 3:
		return vendors[vendorCeph]
	}
	return nil
}

// recognise looks at every answer until one tells the vendor.
func (s *Store) recognise(h http.Header) {
	if s.fixed || s.vendor.Load() != unknownVendor {
		return
	}
	if v := vendorOfAnswer(h); v != nil && s.vendor.CompareAndSwap(unknownVendor, v) {
		s.log.Debug("store recognised", "vendor", v.name)
	}
}
