// Package documents knows the forms of a bucket's documents: the JSON that the AWS CLI prints and takes, and the XML
// of the S3 API (API reference, "PutBucketLifecycleConfiguration" and its kind). A policy has JSON only.
//
// What a person wrote is read strictly: an unknown name, a value of another type and what every store would refuse are
// errors that name the line and what is allowed. What a store answers is taken as it is; elements that are not known
// here are kept, so that nobody loses them by writing back what was read without having seen them.
//
// All functions are pure.
package documents
