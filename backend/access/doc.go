// Package access says in words who may do what with a bucket: what its policy, its ACL and its public access block
// mean together, and what is left of it for everybody without credentials.
//
// A policy is read as Amazon evaluates it (IAM user guide, "Policy evaluation logic", "IAM JSON policy element reference";
// S3 user guide, "Blocking public access to your Amazon S3 storage"): what no statement allows is refused, and a Deny
// overrules every Allow. Patterns of keys are never listed or guessed at: what one statement allows and another takes away
// is kept as patterns that a key must match and others that it must not.
//
// All functions are pure.
package access
