package backend

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPropertiesOf: what an object has goes with it, but for what belongs to its version or its place.
func TestPropertiesOf(t *testing.T) {
	t.Parallel()
	kms := Encryption{Algorithm: "aws:kms", KMSKeyID: "k", BucketKey: true}
	for _, c := range []struct{ has, want Encryption }{{kms, kms}, {Encryption{Algorithm: CustomerEncryption}, Encryption{}}, {}} {
		o := Object{
			Headers: Headers{ContentType: "text/x"}, Metadata: map[string]string{"a": "1"}, StorageClass: "GLACIER", Encryption: c.has, TagCount: 1,
			Lock: ObjectLock{LegalHold: true},
		}
		got := PropertiesOf(o)
		if diff := cmp.Diff(Properties{Headers: o.Headers, Metadata: map[string]string{"a": "1"}, StorageClass: "GLACIER", Encryption: c.want}, got); diff != "" {
			t.Error(diff)
		}
		got.Metadata["a"] = "2"
		if o.Metadata["a"] != "1" {
			t.Error("the metadata are the object's own")
		}
	}
}
