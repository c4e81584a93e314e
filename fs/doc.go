// Package fs is the inode layer: it answers the kernel (go-fuse's raw API) from the
// block cache, the metadata cache, staging and write-back. It is the only importer of
// go-fuse and the only place that chooses an errno. SEMANTICS.md says what every
// operation does.
//
// # Types
//
//   - node: an inode that the kernel knows, or that has staged content. It pins one
//     version of one object; all open files of an inode share its content.
//   - handle: one open file. dirHandle: one open directory.
//   - staging.File: content that is not in the store yet. Cache entries are not known here.
//
// # Lock order
//
// Deeper is taken later; nothing is taken upwards.
//
//	turns                      one change of a node's attributes, or a marker, at a time; held over its requests
//	FS.renames                 one rename of a directory at a time; held over its requests
//	deferredDelete.mu          while a promised delete is carried out; held over its request
//	  node.mu                  two nodes: never at once
//	    staging.File           (inside package staging)
//	    tagging.mu             changes of tags; a held object is waited for without it
//	    tree.mu                names, parents, lookup counts
//	    promises.mu, stagedNodes.mu, markerAnswers.mu, facts.mu (which calls package metadata), lockRules.mu, table.mu, moving.mu,
//	    versionLists.mu, keyVersions.mu   leaves
//
// But for these three, no lock is held across a request to the store, a wait for write-back, or a
// notification of the kernel. Functions that need node.mu end in Locked.
//
// # Goroutines
//
// Requests run on go-fuse's goroutines. FS itself starts: one that sends notifications
// (FS.notifier), one per deferred delete at a last close, those that fetch attributes and markers ahead, one per request for tags, and the recovery of intents at start. All end when
// FS.stop is called; FS.Close waits for them. A request that was interrupted has a
// watcher that ends with the request (interrupt.go).
package fs
