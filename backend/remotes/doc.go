// Package remotes shows several stores as one: a backend.Store whose buckets are named REMOTE/BUCKET.
//
// Every call goes to the store of the remote that the bucket's name begins with, as it is, and costs that
// store the requests that it costs alone; a name without a remote that exists is KindNoBucket, without a
// request. In the answers, and in errors, buckets have their full names again. What the store itself has
// written (messages, documents, addresses, signed forms) knows the bucket by its own name.
//
// A copy from one remote to another is KindElsewhere, without a request: no store can read from another.
//
// ListBuckets asks all remotes at once that may have what is asked for. One that fails does not hide the
// others: their buckets are returned together with the error, which names the remotes that failed. One that has not
// answered when the deadline of the context comes is KindUnreachable. Who wants
// the buckets of one remote gives the prefix "REMOTE/", and only that one is asked.
package remotes
