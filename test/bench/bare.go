package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// What the bare client does is what a program would that knows S3 and keeps nothing: eight ranged
// GETs or parts of 16 MiB at once, server-side copies, flat listings.
const (
	bareStreams = 8
	barePart    = 16 * mib
)

// unsigned spares the client a SHA-256 of what it sends, which the SDK makes where there is no TLS.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

func (b *bench) client() *s3.Client { return bareClient(b.endpoint) }

// bareRange reads n bytes into p, as often from its start as needed; with take, p holds all of them.
func (b *bench) bareRange(c *s3.Client, key string, off, n int64, p []byte) error {
	reply, err := c.GetObject(b.ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: &key,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))})
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	for got := int64(0); ; {
		k, err := io.ReadFull(reply.Body, p)
		got += int64(k)
		switch {
		case err == nil && got < n:
		case got != n:
			return fmt.Errorf("%d bytes, want %d: %w", got, n, err)
		default:
			_, _ = reply.Body.Read(p[:0]) // nothing is left
			return nil
		}
	}
}

// bareRead reads an object in parts. take, if not nil, gets each; else the bytes are forgotten.
func (b *bench) bareRead(key string, size int64, take func(off int64, part []byte) error) error {
	c := b.client()
	parts := int((size + barePart - 1) / barePart)
	return each(parts, bareStreams, func(i int) error {
		off := int64(i) * barePart
		n := min(barePart, size-off)
		if take == nil {
			return b.bareRange(c, key, off, n, make([]byte, 256<<10))
		}
		part := make([]byte, n)
		if err := b.bareRange(c, key, off, n, part); err != nil {
			return err
		}
		return take(off, part)
	})
}

func (b *bench) bareRanges(key string, offsets []int64, n int) error {
	c := b.client()
	for i, off := range offsets {
		b.kept[i] = make([]byte, n)
		if err := b.bareRange(c, key, off, int64(n), b.kept[i]); err != nil {
			return err
		}
	}
	return nil
}

// upload makes an object of parts; part i is made by f.
func (b *bench) upload(c *s3.Client, key string, parts int, f func(uploadID *string, number int32) (etag *string, err error)) error {
	up, err := c.CreateMultipartUpload(b.ctx, &s3.CreateMultipartUploadInput{Bucket: &b.bucket, Key: &key})
	if err != nil {
		return err
	}
	done := make([]types.CompletedPart, parts)
	err = each(parts, bareStreams, func(i int) error {
		number := int32(i + 1) // at most 10,000
		etag, err := f(up.UploadId, number)
		done[i] = types.CompletedPart{ETag: etag, PartNumber: &number}
		return err
	})
	if err != nil {
		return err
	}
	_, err = c.CompleteMultipartUpload(b.ctx, &s3.CompleteMultipartUploadInput{Bucket: &b.bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	return err
}

func (b *bench) uploadPart(c *s3.Client, key string, uploadID *string, number int32, data []byte) (*string, error) {
	reply, err := c.UploadPart(b.ctx, &s3.UploadPartInput{Bucket: &b.bucket, Key: &key, UploadId: uploadID, PartNumber: &number,
		Body: bytes.NewReader(data)}, unsigned)
	if err != nil {
		return nil, err
	}
	return reply.ETag, nil
}

func (b *bench) bareWrite(key string, size int64) error {
	c := b.client()
	data := bytes.Repeat(noise, barePart/len(noise))
	parts := int((size + barePart - 1) / barePart)
	return b.upload(c, key, parts, func(uploadID *string, number int32) (*string, error) {
		n := min(barePart, size-int64(number-1)*barePart)
		return b.uploadPart(c, key, uploadID, number, data[:n])
	})
}

func (b *bench) bareReadMany(format string, count, threads int) error {
	c := b.client()
	return each(count, threads, func(i int) error {
		reply, err := c.GetObject(b.ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: aws.String(fmt.Sprintf(format, i))})
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		b.kept[i], err = io.ReadAll(reply.Body)
		return err
	})
}

func (b *bench) bareWriteMany(format string, count, n, threads int) error {
	c := b.client()
	return each(count, threads, func(i int) error {
		_, err := c.PutObject(b.ctx, &s3.PutObjectInput{Bucket: &b.bucket, Key: aws.String(fmt.Sprintf(format, i)),
			Body: bytes.NewReader(noise[:n])}, unsigned)
		return err
	})
}

// keys lists a prefix.
func (b *bench) keys(c *s3.Client, prefix string) ([]string, error) {
	var keys []string
	for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &prefix}); pages.HasMorePages(); {
		page, err := pages.NextPage(b.ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

func (b *bench) bareList(prefix string, want int) error {
	keys, err := b.keys(b.client(), prefix)
	if err == nil && len(keys) != want {
		err = fmt.Errorf("%d keys, want %d", len(keys), want)
	}
	return err
}

// bareEdit fetches the part that is changed and copies all else inside the store.
func (b *bench) bareEdit(key string, size, off int64) error {
	c := b.client()
	const part = 5 * mib // the smallest that S3 takes
	first := off - 2*mib
	data := make([]byte, part)
	if err := b.bareRange(c, key, first, part, data); err != nil {
		return err
	}
	copy(data[off-first:], noise[:mib])
	cuts := []int64{0, first, first + part, size}
	return b.upload(c, key, 3, func(uploadID *string, number int32) (*string, error) {
		from, to := cuts[number-1], cuts[number]
		if number == 2 {
			return b.uploadPart(c, key, uploadID, number, data)
		}
		reply, err := c.UploadPartCopy(b.ctx, &s3.UploadPartCopyInput{Bucket: &b.bucket, Key: &key, UploadId: uploadID, PartNumber: &number,
			CopySource: aws.String(b.bucket + "/" + key), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1))})
		if err != nil {
			return nil, err
		}
		return reply.CopyPartResult.ETag, nil
	})
}

func (b *bench) bareCopy(from, to string) error {
	_, err := b.client().CopyObject(b.ctx, &s3.CopyObjectInput{Bucket: &b.bucket, Key: &to, CopySource: aws.String(b.bucket + "/" + from)})
	return err
}

func (b *bench) bareRename(from, to string) error {
	c := b.client()
	keys, err := b.keys(c, from)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(b.ctx)
	g.SetLimit(16)
	for _, key := range keys {
		g.Go(func() error { return b.bareMove(ctx, c, key, to+strings.TrimPrefix(key, from)) })
	}
	return g.Wait()
}

func (b *bench) bareMove(ctx context.Context, c *s3.Client, from, to string) error {
	if _, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b.bucket, Key: &to, CopySource: aws.String(b.bucket + "/" + from)}); err != nil {
		return err
	}
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: &from})
	return err
}
