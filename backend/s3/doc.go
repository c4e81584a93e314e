// Package s3 is the backend.Store of every server that speaks the S3 protocol. It is the only
// package that knows the AWS SDK.
//
// # Requests
//
// One method is one request, with few exceptions that are only made on the way to an error
// (where the answer to a HEAD has no body, a LIST tells what is wrong) and while probing.
// Bodies are sent as they are: UNSIGNED-PAYLOAD, never the aws-chunked framing, with the
// CRC64NVME that the caller computed where the store is known to verify it. ETags travel
// without quotes (Ceph takes no others).
//
// The requests that a mount makes by the thousand (reads, writes, copies, deletes and listings
// of objects) are built in direct.go and use only the endpoint rules, the credentials, the
// signature and the retryers of the SDK: its client costs as much CPU again as a small request
// itself. All others are calls of its client.
//
// # Repeats
//
// A request is repeated only when the repeat is harmless (repeat.go): reads, listings, parts,
// and writes without a condition whose repeat has the same effect. Conditional writes,
// copies and completions are sent once (a wrong clock or region aside: then the store has
// refused to look at the request, and the next one is right). Errors become kinds in one
// place, errors.go.
//
// # Timeouts
//
// There is no limit on the time of a whole request. A watch (watch.go) follows each request:
// it ends one whose bytes do not move for Config.StallTimeout, in either direction, or whose
// answer does not begin within Config.FirstByteTimeout of the last byte sent; for Copy and
// CompleteUpload that limit grows with the size of the object.
//
// # What a store can do
//
// vendors.go has a table of what servers are known to do, recognised by the address or by
// their first answer; probe.go tries the rest on scratch keys. Requests that name a
// sub-resource (?versions, ?tagging, ?retention, ?annotation) are sent only to servers that are
// known to have it: others take them for a plain PUT or GET. What a server is not known to have
// is backend.KindUnsupported, without a request.
//
// # Versions and locks
//
// Pages of ListVersions have every version once and in order, also when those of the page before
// were removed for good meanwhile. VersityGW and Ceph do not give that by themselves:
// versions_whole.go and versions_times.go say what they do, and what is done about it. Swift keeps
// versions, but not as S3 does: there they are read by their ids only.
//
// A lock is shown as S3 defines it. VersityGW enforces a bucket's default retention without
// showing it with an object, and counts it from when the default was set, which it does not
// tell: here it counts from when the object was written, as in S3. VersityGW and Ceph cannot
// take a retention away: it is brought to its end instead, which takes two seconds. Ceph
// drops the lock of copies and of uploads in parts, and the tags of the latter: they are set
// right afterwards, by the process that made the upload.
//
// # Encryption
//
// The keys of SSE-C are given by Config.CustomerKey for each object's place. encryption.go says
// which operations need them, and adds them where requests are sent; an object without the key of
// its place is asked for once more. Where a store is not known to keep its word, the first write
// that asks for encryption is preceded by a trial (VersityGW, Swift and others take such a request
// and store in clear). sealed.go has what MinIO does otherwise with conditions on encrypted objects.
//
// # Goroutines
//
// None of its own outlives a method, but for connections in the pool (net/http) and an open
// Body, whose timer Close stops. Locks are leaves and are never held during a request.
package s3
