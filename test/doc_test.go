// Package test sees the whole: the rules of the repository, and the mounted filesystem as a user
// would judge it: real programs run in it, on real stores, and another S3 client sees the
// same bytes. README.md in this folder says which tests there are and how to run them.
package test
