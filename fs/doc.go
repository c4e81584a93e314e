// Package fs is the inode layer: it answers the kernel (go-fuse's raw API) from the
// block cache, the metadata cache, staging and write-back. It is the only importer of
// go-fuse and the only place that chooses an errno. SEMANTICS.md says what every
// operation does.
//
// # Types
//
//   - node: an inode that the kernel knows, or that has staged content. It pins one
//     version of one object; all open files of an inode share its content. There is never a second
//     one of an inode, and any number of goroutines may refer to it.
//   - body: what a node is while it is used. Of files that nobody uses it is folded away (fold.go).
//   - handle: one open file. dirHandle: one open directory.
//   - staging.File: content that is not in the store yet. Cache entries are not known here.
//
// # Lock order
//
// Deeper is taken later; nothing is taken upwards. The first five are held over requests to the store:
//
//	moving.claim               one rename of a directory at a time; claimed by who has not entered
//	  FS.enter                 who changes names in a directory, or its marker; a rename of a directory above waits until all have left.
//	                           Who has entered may enter again, and never waits for a rename that waits for it
//	    turns                  one change of a node's attributes, or of a marker, at a time; a file's before its directory's, and so upwards
//	      holdTags             an unlink or rename of a file; changes of its tags wait for that in their turn, so who
//	                           holds claims turns of directories only
//	        deferredDelete.mu  while a promised delete is carried out
//
// and below them the locks:
//
//	node.mu                  two nodes: never at once. It is taken by lock and rlock, which give the node a body
//	  staging.File           (inside package staging)
//	  tagging.mu             changes of tags; a held object is waited for without it
//	  clock.mu               which bodies there are. Who holds it folds those of other nodes, whose node.mu it only tries
//	  tree.mu                names, parents, lookup counts
//	  promises.mu, stagedNodes.mu, markerAnswers.mu, facts.mu (which calls package metadata), lockRules.mu, limitTable.mu, table.mu, moving.mu, errands.mu, overtaken.mu,
//	  versionLists.mu, keyVersions.mu   leaves
//
// None of these is held across a request to the store, a wait for write-back, or a
// notification of the kernel. Functions that need node.mu end in Locked.
//
// # Goroutines
//
// Requests run on go-fuse's goroutines. FS itself starts:
//
//   - one that sends notifications to the kernel (FS.notifier)
//   - one that asks it to forget inodes when there are too many (FS.prune)
//   - up to 64 for promised deletes at a last close (FS.errand)
//   - one per file that mknod made, until it is opened or a second has passed
//   - those that fetch attributes, markers and extended attributes ahead of a scan
//   - one per request for tags, and one per request for the limits of a bucket
//   - one per upload that nobody needs any more
//   - the recovery of intents at start, and of a rename that was cut short until the store tells how far it had come
//
// All end when FS.stop is called; FS.Close waits for them. A request that was interrupted has a watcher that
// ends with the request (interrupt.go).
package fs
