package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// OpenUnusable makes a Store of a configuration that Open cannot use because of its profile, credentials or
// authorities, which are not read here. It sends nothing: every request is KindCredentials and says why. The error
// is for a configuration that is wrong in other things, too.
func OpenUnusable(cfg Config, why error) (*Store, error) {
	cfg = cfg.withDefaults()
	cfg.Anonymous = false // what is not signed would be sent
	endpoint, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, invalid("Open", err)
	}
	pinned, err := vendorNamed(cfg.Vendor)
	if err != nil {
		return nil, invalid("Open", err)
	}
	loaded := aws.Config{Region: cfg.Region, HTTPClient: awshttp.NewBuildableClient(), Credentials: unusable{why}}
	return open(cfg, loaded, endpoint, pinned)
}

// unusable are the credentials of a store that cannot be used.
type unusable struct{ why error }

func (u unusable) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, &credentialsError{u.why}
}
