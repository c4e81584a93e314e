// Package names translates between the components of an object's key and the names of
// directory entries. It is pure: no state, no I/O.
//
// A key is cut at its slashes into components, and a component may be any byte string
// without a slash. The kernel takes less: 1 to 255 bytes, no NUL, not "." and not "..".
// Besides, an object "a" may lie beside objects "a/b", but a name can be a file or a
// directory only. What does not fit is shown under an escape. Everything that fits is
// shown as it is, whatever its bytes are, unless it looks like one of the escapes:
//
//	component           kind     name
//	"report 2024.txt"   Natural  report 2024.txt
//	"100%"              Natural  100%
//	""                  Natural  %empty              the middle of "a//b"
//	"."                 Natural  %2E%key
//	".."                Natural  %2E%2E%key
//	"a\x00b"            Natural  a%00b%key
//	"a%file"            Natural  a%25file%key        looks like an escape
//	"a"                 File     a%file              the object "a" beside the prefix "a/"
//	"100%"              File     100%25%file
//	""                  File     %file               the bytes of the directory's own marker object
//	300 times "x"       -        xxx...x%part/xxx...x    a directory with the first 250 bytes,
//	                                                 and in it the other 50
//
// The words after the last percent sign are key, file, part and empty. Before it, only
// "%" (%25), NUL (%00), and the dots of a whole "." or ".." (%2E) are encoded.
//
// # Promises
//
// Encode and Decode are exact inverses: every component and kind whose name fits has one
// name, every legal name of at most 255 bytes has one component and kind, no two share
// one. A name that merely resembles an escape ("a%zz%key", "b%key") is not one: it
// stands for itself.
//
// # Long components
//
// A component whose name does not fit in 255 bytes is shown as a directory of kind Part,
// named after its first piece; its key prefix is the parent's prefix and the piece,
// without a slash. In that directory stand the rests of all components that Split cuts
// there, again with Split, so that the longest key S3 allows (1,024 bytes) needs five
// levels. A listing of such a prefix also shows keys that are not cut there (shorter
// ones that begin with the same bytes): Continues tells them apart.
package names
