package s3

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// BucketPublic implements backend.BucketProperties: the store's own verdict where it has one,
// else its policy is read.
func (s *Store) BucketPublic(ctx context.Context, bucket string) (bool, error) {
	known := s.vendor.Load()
	if !known.status {
		return s.publicPolicy(ctx, bucket)
	}
	c, err := about(true, call{op: "GetBucketPolicyStatus", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return false, err
	}
	out, err := send(ctx, s, c, s.client.GetBucketPolicyStatus, &awss3.GetBucketPolicyStatusInput{Bucket: &bucket})
	switch {
	case codeOf(err) == "NoSuchBucketPolicy":
		return false, nil
	case err != nil:
		return false, err
	}
	return out.PolicyStatus != nil && aws.ToBool(out.PolicyStatus.IsPublic), nil
}

func (s *Store) publicPolicy(ctx context.Context, bucket string) (bool, error) {
	c, err := about(s.vendor.Load().policies, call{op: "GetBucketPolicy", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return false, err
	}
	out, err := send(ctx, s, c, s.client.GetBucketPolicy, &awss3.GetBucketPolicyInput{Bucket: &bucket})
	if codeOf(err) == "NoSuchBucketPolicy" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	public, err := opensToAll([]byte(aws.ToString(out.Policy)))
	if err != nil {
		return false, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: bucket, Err: err}
	}
	return public, nil
}

// statement is one of a policy, as far as it matters here.
type statement struct {
	Effect       string          `json:"Effect"`
	Principal    json.RawMessage `json:"Principal"`
	NotPrincipal json.RawMessage `json:"NotPrincipal"`
	Condition    map[string]any  `json:"Condition"`
}

// opensToAll reports whether a policy allows something to everybody. A statement with a
// condition counts as one for some (S3 user guide, "The meaning of public": conditions on
// addresses, accounts and their kind make a policy non-public).
func opensToAll(policy []byte) (bool, error) {
	var whole struct {
		Statement json.RawMessage `json:"Statement"`
	}
	if err := json.Unmarshal(policy, &whole); err != nil {
		return false, err
	}
	var all []statement
	if json.Unmarshal(whole.Statement, &all) != nil {
		var one statement
		if err := json.Unmarshal(whole.Statement, &one); err != nil {
			return false, err
		}
		all = []statement{one}
	}
	return slices.ContainsFunc(all, func(s statement) bool {
		return s.Effect == "Allow" && len(s.Condition) == 0 && (len(s.NotPrincipal) > 0 || everybody(s.Principal))
	}), nil
}

// everybody reports whether a principal is "*", in one of the ways to write it.
func everybody(principal json.RawMessage) bool {
	var one string
	var many []string
	var kinds map[string]json.RawMessage
	switch {
	case json.Unmarshal(principal, &one) == nil:
		return one == "*"
	case json.Unmarshal(principal, &many) == nil:
		return slices.Contains(many, "*")
	case json.Unmarshal(principal, &kinds) == nil:
		return everybody(kinds["AWS"])
	}
	return false
}
