// Package writeback makes objects of staged files. It uses the network and never the disk: bytes come
// from cache/staging.
//
// # Idea
//
// A snapshot is a list of extents: local bytes, ranges of objects, zeros. PlanUpload turns it into the requests
// that move the fewest bytes: one Put, one Copy, or the parts of a multipart upload. It is a pure
// function of the extents, the store's limits and abilities, and the parts that an unfinished upload has.
//
// A Queue runs plans. Per key, uploads run one after another in order of arrival; an object is not
// replaced while another upload still copies from it. Per file, a newer snapshot takes the place
// of one that was not started. While a file is being written at its end, a stream sends
// its full parts; the commit takes over what they did, also parts that are still on their way.
//
// # What is true at a success
//
// Every object carries the snapshot's generation id and the file's id under backend.MetaGeneration. A request
// whose answer was lost, or whose condition failed, is followed by a HEAD: an object with the
// same id is our own success. Where a store does not honour a condition, a HEAD before and one after take
// its place (Stats.Unguarded). A condition that fails is a conflict: it is told through
// Config.OnFail and never repeated; so is one that would replace what retention or a legal hold keeps, which in buckets with
// object lock a HEAD just before finds out (Config.MayReplace). Temporary failures are repeated with back-off, parts that
// are stored are not sent again. Other failures that last park the upload: it is tried rarely, and by Retry and Flush.
//
// A streamed file that outgrows staging may give back parts that are stored (MakeRoom). An upload that has the only
// copy of some of the content is bound to the file: no failure aborts or forgets it, it serves later generations of the
// content, and only the end of the file (Abandon) ends it.
//
// Metadata is fixed when a multipart upload begins. If a file's properties change after that,
// an upload with few parts is begun again; one with many is completed, and the object is
// copied onto itself with the final properties before anyone is told of the commit.
//
// After a crash the multipart upload goes on with the parts that both the journal and
// the store know by the same ETag (Queue.Recover).
//
// # Locks
//
// Queue.mu guards all jobs, streams and maps. It may be taken under a caller's lock, and
// staging's locks may be taken under it; it is never held across a request or a callback. Counters are atomic.
//
// # Goroutines
//
// No goroutine runs while there is nothing to do. Each upload runs on one (Config.Files bounds them), or on
// the goroutine of a Commit whose context cannot end. Part requests run on their own, bounded by
// Config.Parts; the attempt or stream that started them waits for them. A stream's runner ends when no
// part is complete. One sweeper exists while aborts have to be repeated. Timers wait for due
// times. Queue.work counts all of these; Close stops what has not been sent, waits for them, and cancels Queue.ctx when its
// patience ends.
package writeback
