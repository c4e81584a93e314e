// Package configfile reads objmount's configuration file: named remotes, which bucket belongs to which, what new objects
// get below a prefix, namespaces, and defaults for the flags of objmount mount. docs/config.md describes it for users.
//
// The file is TOML, decoded strictly: a key that is not known, a value of another type, or two settings that contradict each
// other are an error with file, line and column, and nothing of the file is used then. Settings that are flags have the flags'
// names and are checked by the flags themselves, so that there is one list of them.
//
// A File is never changed once it was loaded. A reload loads another one.
package configfile
