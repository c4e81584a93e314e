package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/objmount/objmount/backend"
)

// Select implements backend.Selector. It is repeated only while no row has come.
func (s *Store) Select(ctx context.Context, in backend.SelectInput, w io.Writer) (backend.SelectStats, error) {
	c, err := sub(s.vendor.Load().selects, call{op: "SelectObjectContent", bucket: in.Object.Bucket, key: in.Object.Key, repeat: repeatHarmless})
	if err != nil {
		return backend.SelectStats{}, err
	}
	c.deleted = false // MethodNotAllowed: not for this account (Amazon, to those who never used it)
	query, err := selectInput(in)
	if err != nil {
		return backend.SelectStats{}, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the reader of the stream, wherever it waits
	out, err := send(ctx, s, c, s.client.SelectObjectContent, query)
	if err != nil {
		return backend.SelectStats{}, refusedQuery(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	stats, err := rows(ctx, c, in, stream, w)
	var e *backend.Error
	if s.vendor.Load().blamesItself && errors.As(err, &e) && e.Code == "InternalError" {
		e.Kind = backend.KindInvalid
	}
	return stats, err
}

// eventStream is what is used of the SDK's.
type eventStream interface {
	Events() <-chan types.SelectObjectContentEventStream
	Err() error
}

// rows passes on what a query finds until the stream says that this was all.
func rows(ctx context.Context, c call, in backend.SelectInput, stream eventStream, w io.Writer) (backend.SelectStats, error) {
	var stats backend.SelectStats
	fail := func(kind backend.Kind, err error) (backend.SelectStats, error) {
		return stats, &backend.Error{Kind: kind, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	for {
		var event types.SelectObjectContentEventStream
		var more bool
		select {
		case event, more = <-stream.Events():
		case <-ctx.Done():
			return fail(backend.KindCanceled, ctx.Err())
		}
		if !more {
			break
		}
		switch e := event.(type) {
		case *types.SelectObjectContentEventStreamMemberRecords:
			if _, err := w.Write(e.Value.Payload); err != nil {
				return fail(backend.KindOf(err), fmt.Errorf("writing the rows: %w", err))
			}
		case *types.SelectObjectContentEventStreamMemberProgress:
			if p := e.Value.Details; p != nil && in.Progress != nil {
				in.Progress(backend.SelectStats{
					Scanned: aws.ToInt64(p.BytesScanned), Processed: aws.ToInt64(p.BytesProcessed), Returned: aws.ToInt64(p.BytesReturned),
				})
			}
		case *types.SelectObjectContentEventStreamMemberStats:
			if p := e.Value.Details; p != nil {
				stats = backend.SelectStats{
					Scanned: aws.ToInt64(p.BytesScanned), Processed: aws.ToInt64(p.BytesProcessed), Returned: aws.ToInt64(p.BytesReturned),
				}
			}
		case *types.SelectObjectContentEventStreamMemberEnd:
			return stats, nil
		}
	}
	err := stream.Err()
	var said smithy.APIError
	switch {
	case ctx.Err() != nil:
		return fail(backend.KindCanceled, ctx.Err())
	case errors.As(err, &said):
		refusal := decodeItem(c, said.ErrorCode(), said.ErrorMessage())
		refusal.Status = http.StatusOK // it came after that
		return stats, refusedQuery(refusal)
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	return fail(backend.KindTransient, err)
}

// refusedQuery makes KindInvalid of the codes that only queries get, of which there are more
// than a hundred.
func refusedQuery(err error) error {
	var e *backend.Error
	if !errors.As(err, &e) || e.Code == "" {
		return err
	}
	if _, known := codes[e.Code]; !known && e.Status < http.StatusInternalServerError {
		e.Kind = backend.KindInvalid
	}
	return e
}

// selectInput writes a query in the SDK's types.
func selectInput(in backend.SelectInput) (*awss3.SelectObjectContentInput, error) {
	query := &awss3.SelectObjectContentInput{
		Bucket: &in.Object.Bucket, Key: &in.Object.Key, Expression: &in.Expression, ExpressionType: types.ExpressionTypeSql,
		InputSerialization:  &types.InputSerialization{CompressionType: types.CompressionTypeNone},
		OutputSerialization: &types.OutputSerialization{},
		RequestProgress:     &types.RequestProgress{Enabled: aws.Bool(in.Progress != nil)},
	}
	switch from := query.InputSerialization; strings.ToUpper(in.Input) {
	case "CSV":
		from.CSV = &types.CSVInput{
			FileHeaderInfo: types.FileHeaderInfo(strings.ToUpper(in.Header)), FieldDelimiter: some(in.Delimiter),
			QuoteCharacter: some(in.Quote), Comments: some(in.Comment),
		}
	case "JSON":
		from.JSON = &types.JSONInput{Type: types.JSONTypeDocument}
		if in.Lines {
			from.JSON.Type = types.JSONTypeLines
		}
	case "PARQUET":
		from.Parquet = &types.ParquetInput{}
	default:
		return nil, fmt.Errorf("input %q: want CSV, JSON or Parquet", in.Input)
	}
	if in.Compression != "" {
		query.InputSerialization.CompressionType = types.CompressionType(strings.ToUpper(in.Compression))
	}
	switch strings.ToUpper(in.Output) {
	case "CSV":
		query.OutputSerialization.CSV = &types.CSVOutput{FieldDelimiter: some(in.OutputDelimiter)}
	case "JSON":
		query.OutputSerialization.JSON = &types.JSONOutput{}
	default:
		return nil, fmt.Errorf("output %q: want CSV or JSON", in.Output)
	}
	if in.ScanStart != 0 || in.ScanEnd != 0 {
		query.ScanRange = &types.ScanRange{Start: aws.Int64(in.ScanStart)}
		if in.ScanEnd > 0 {
			query.ScanRange.End = aws.Int64(in.ScanEnd)
		}
	}
	return query, nil
}
