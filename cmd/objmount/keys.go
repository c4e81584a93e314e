package main

import (
	"slices"

	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// tellStore tells a store that is to be opened what the configuration file says of its remote besides its settings: the vendor, and
// the keys of SSE-C. A nil remote says nothing. now returns what the file says when a key is asked for, which a reload can change; a
// remote that had no key when its store was opened stays without, because its requests may travel in clear.
func tellStore(conf *s3.Config, r *configfile.Remote, now func() *configfile.Remote) {
	if r == nil {
		return
	}
	conf.Vendor = r.Vendor
	if !slices.ContainsFunc(r.Rules, func(rule configfile.Rule) bool { return rule.Key != nil }) {
		return
	}
	conf.CustomerKey = func(bucket, key string) *[32]byte { return now().CustomerKey(bucket, key) }
	conf.KeyName = func(bucket, key string) string { return now().KeyFileOf(bucket, key) }
}
