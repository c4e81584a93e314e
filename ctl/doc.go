// Package ctl is how a running mount is asked and told: one unix socket per mount, HTTP with
// JSON (JSON lines where an answer goes on for a while), so that curl works:
//
//	curl --unix-socket /run/objmount/1234.sock http://mount/v1/status
//
// openapi.json, which every mount serves at /v1/openapi.json, describes it; a test compares it
// with the routes.
//
// # Verbs
//
// What is asked for by path (list the versions of a file, restore a directory as it was) is a row of one
// table, written over roles of package backend (Store) and a Tree, which knows what a path stands for. Verbs.Run
// does it, in the process of a mount behind POST /v1/NOUN/VERB, or in a command of its own without any mount. docs/ctl.md
// describes each. Items, notes and the result come as lines, in both cases the same.
//
// A verb that changes something first has the tree store what is finished, and tells it of every object that it
// changed, also when the outcome is not known.
//
// # Who may
//
// The socket has mode 0600, and every request is checked again by the peer's uid
// (SO_PEERCRED): the user who mounted, and root.
//
// # Registry
//
// Beside the socket PID.sock lies PID.json, which says what is mounted where. It is written
// after the socket listens and removed before the socket goes. What a killed process leaves is
// recognised by a socket that refuses connections, or a process that is gone or another one
// (start time); List removes it.
//
// # Limits
//
// Headers 16 KiB, bodies 64 KiB (with documents of a bucket 80 MiB), answers 16 MiB, five seconds to send a request, ten to take a
// line of an answer. A verb's answer is a stream without a limit, with a line at least every 15 seconds. A request
// ends when its client goes away: a flush that was interrupted leaves everything mounted and pending, a verb
// stops at what it has done.
//
// The bytes of an object (PUT /v1/object/put, its request in a header) are of any size. Some parts of 8 MiB are in memory
// at a time, four such requests run at once, and a pause of ten minutes ends one; so does a client that goes. Nothing is
// stored before the last byte has come.
//
// # Refused
//
// A peer that may not is answered 403 and logged, once for each uid and minute.
//
// # Goroutines
//
// Server starts one that accepts; net/http starts one per connection, and a verb one that sends lines when there is
// nothing to say, up to 16 for copies and 64 for looks at objects. Server.Close ends all and waits for them.
package ctl
