// Package past shows a store as it was at a time: a backend.Store that answers from the versions
// of another, and changes nothing.
//
// # What existed at a time
//
// Of each key the newest version whose LastModified, as listings give it, is not after the time.
// If that is a delete marker, or there is none, the key did not exist. Which of two versions is
// newer is what the listing's order says, so versions of one second are in the right order also
// where the store lists whole seconds (Amazon S3, VersityGW; MinIO and Ceph list milliseconds).
// A time within a second is then seen as that second: what was stored up to its end counts.
//
// What a store no longer has cannot be shown: versions that were purged, what was overwritten
// before the bucket kept versions or while that was suspended, and markers of directories ("d/"),
// of which VersityGW and MinIO keep the last one only.
//
// # Costs
//
// A page of List costs one ListVersions per 1,000 versions, old ones and delete markers included.
// With a delimiter, a prefix is shown only if something below it existed at the time, which the
// store's own common prefixes do not tell: they are of everything that ever was there. So List
// asks without delimiter and folds the keys itself; what follows a prefix that is known to exist
// is skipped. When a page shows that the directories below are large (mostly their content, few
// prefixes), it asks with the delimiter from there on and looks into each prefix for a key that
// existed: many at once, until a key is found, and by a page without delimiter where that decides
// several. A directory whose content all came later, or was deleted before, costs all its versions.
//
// Head, Get and the rest name the version. Which one it is, listings have told, and is remembered
// for a bounded number of keys; for others it costs one ListVersions of a few keys.
//
// # Goroutines and locks
//
// List looks into up to 32 prefixes at once; its goroutines end before it returns. Store.mu and
// memory.mu guard maps; neither is held across a request.
package past
