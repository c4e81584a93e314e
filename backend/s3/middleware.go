package s3

import (
	"context"
	"fmt"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type stackFunc = func(*middleware.Stack) error

// commonMiddleware is what every request to a vendor needs.
func commonMiddleware(v *vendor) []stackFunc {
	if v.name != vendorGCS {
		return nil
	}
	return []stackFunc{hideAcceptEncoding}
}

// with adds middleware to one request.
func with(stack ...stackFunc) func(*awss3.Options) {
	return func(o *awss3.Options) { o.APIOptions = append(o.APIOptions, stack...) }
}

// contentMD5 is what older servers ask for in place of the SDK's checksum.
var contentMD5 = with(smithyhttp.AddContentChecksumMiddleware)

// header sets a header of the request before it is signed.
func header(name, value string) func(*awss3.Options) {
	return with(func(stack *middleware.Stack) error {
		return stack.Build.Add(middleware.BuildMiddlewareFunc("objmount:"+name,
			func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
				req, ok := in.Request.(*smithyhttp.Request)
				if !ok {
					return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("unexpected request %T", in.Request)
				}
				req.Header.Set(name, value)
				return next.HandleBuild(ctx, in)
			}), middleware.After)
	})
}

type acceptEncodingKey struct{}

// hideAcceptEncoding leaves Accept-Encoding out of the signature: Google's front end changes
// that header before its back end verifies.
func hideAcceptEncoding(stack *middleware.Stack) error {
	const name = "Accept-Encoding"
	hide := middleware.FinalizeMiddlewareFunc("objmount:HideAcceptEncoding",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if req, ok := in.Request.(*smithyhttp.Request); ok {
				ctx = middleware.WithStackValue(ctx, acceptEncodingKey{}, req.Header.Get(name))
				req.Header.Del(name)
			}
			return next.HandleFinalize(ctx, in)
		})
	restore := middleware.FinalizeMiddlewareFunc("objmount:RestoreAcceptEncoding",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if req, ok := in.Request.(*smithyhttp.Request); ok {
				if value, _ := middleware.GetStackValue(ctx, acceptEncodingKey{}).(string); value != "" {
					req.Header.Set(name, value)
				}
			}
			return next.HandleFinalize(ctx, in)
		})
	if err := stack.Finalize.Insert(hide, "Signing", middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(restore, "Signing", middleware.After)
}
