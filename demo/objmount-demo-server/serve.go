package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

const (
	region         = "us-east-1"
	maxConnections = 4096
	maxRequests    = 2048
	posixActions   = 256     // file operations at once: bounds the threads of the process
	maxParts       = 10_000  // of a multipart upload, as AWS
	maxCopy        = 5 << 30 // bytes of one CopyObject, as AWS
	portTries      = 5
)

// serve runs the server over dir until ctx ends. It calls ready with the endpoint when the
// server answers. It changes the working directory of the process.
func serve(ctx context.Context, dir string, k keys, ready func(endpoint string) error) error {
	store, versions := filepath.Join(dir, "store"), filepath.Join(dir, "versions")
	for _, d := range []string{store, versions} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	xattr := meta.XattrMeta{}
	if err := xattr.Test(store); err != nil {
		return fmt.Errorf("%s is on a filesystem without user extended attributes, which hold the objects' metadata: %w", store, err)
	}
	files, err := posix.New(store, xattr, posix.PosixOpts{
		VersioningDir: versions, Concurrency: posixActions, CopyObjectThreshold: maxCopy,
	})
	if err != nil {
		return err
	}
	defer files.Shutdown()
	for range portTries { // another process may take the free port before us
		if err = serveOnce(ctx, files, filepath.Join(dir, "address"), k, ready); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return err
}

func serveOnce(ctx context.Context, files *posix.Posix, addressFile string, k keys, ready func(string) error) error {
	address, err := freeAddress(addressFile)
	if err != nil {
		return err
	}
	iam := auth.NewIAMServiceSingle(auth.Account{Access: k.id, Secret: k.secret, Role: auth.RoleAdmin})
	var readyErr error
	var server *s3api.S3ApiServer
	server, err = s3api.New(files, middlewares.RootUserConfig{Access: k.id, Secret: k.secret}, region, iam, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithHealth("/health"),
		s3api.WithMpMaxParts(maxParts), s3api.WithConcurrencyLimiter(maxConnections, maxRequests),
		s3api.WithOnListen(func() { readyErr = ready("http://" + address) }))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeMultiPort([]string{address}) }()
	select {
	case err = <-done:
		return errors.Join(err, readyErr)
	case <-ctx.Done():
	}
	// Connections that are kept alive would make it wait its full ten seconds: nobody is left
	// to answer, so the process ends without it.
	return nil
}
