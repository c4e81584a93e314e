package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/objmount/objmount/backend"
)

var cancelCases = []testCase{
	{name: "Before", run: canceledBefore},
	{name: "Deadline", run: deadline},
	{name: "WhileReading", run: canceledReading},
	{name: "WhileWriting", run: canceledWriting},
}

// canceledBefore: no operation begins in a context that has ended.
func canceledBefore(e *env) {
	was := e.put("a", []byte("stays"))
	up := e.create("b", backend.Properties{})
	p := e.part(up, 1, []byte("x"))
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	s, id, bucket := e.store, e.id("a"), e.bucket
	for name, do := range map[string]func() error{
		"Head":   func() error { _, err := s.Head(ctx, id, backend.GetOptions{}); return err },
		"Get":    func() error { _, err := s.Get(ctx, id, backend.GetOptions{}); return err },
		"List":   func() error { _, err := s.List(ctx, backend.ListInput{Bucket: bucket}); return err },
		"Put":    func() error { _, err := s.Put(ctx, e.input("a", []byte("new"))); return err },
		"Delete": func() error { return s.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: id.Key}) },
		"CreateUpload": func() error {
			_, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: bucket, Key: id.Key})
			return err
		},
		"UploadPart":  func() error { _, err := s.UploadPart(ctx, e.partInput(up, 1, []byte("y"))); return err },
		"Complete":    func() error { _, err := s.CompleteUpload(ctx, completion(up, p)); return err },
		"AbortUpload": func() error { return s.AbortUpload(ctx, up) },
		"ListParts":   func() error { _, err := s.ListParts(ctx, up); return err },
		"ListUploads": func() error { _, err := s.ListUploads(ctx, id); return err },
		"ListBuckets": func() error { _, err := s.ListBuckets(ctx, ""); return err },
		"HeadBucket":  func() error { return s.HeadBucket(ctx, bucket) },
		"Copy": func() error {
			_, err := s.Copy(ctx, backend.CopyInput{Bucket: bucket, Key: e.prefix + "c", Source: backend.Source{Bucket: bucket, Key: id.Key}})
			return err
		},
	} {
		e.wantKind(name, do(), backend.KindCanceled)
	}
	if e.caps.DeleteMany {
		_, err := s.DeleteMany(ctx, bucket, []string{id.Key})
		e.wantKind("DeleteMany", err, backend.KindCanceled)
	}
	e.wantUntouched("a", "stays", was)
	e.wantGone("c")
	e.complete(completion(up, p))
}

func deadline(e *env) {
	ctx, cancel := context.WithDeadline(e.ctx, time.Now().Add(-time.Second))
	defer cancel()
	_, err := e.store.Head(ctx, e.id("a"), backend.GetOptions{})
	e.wantKind("Head after the deadline", err, backend.KindCanceled)
}

// canceledReading: the body of a GET ends with its context.
func canceledReading(e *env) {
	data := noise(70, e.big(8*backend.MiB))
	e.put("a", data)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	body, err := e.store.Get(ctx, e.id("a"), backend.GetOptions{})
	e.ok("Get", err)
	defer body.Close()
	first := make([]byte, 1000)
	_, err = io.ReadFull(body, first)
	e.ok("reading", err)
	cancel()
	if n, err := io.Copy(io.Discard, body); err == nil {
		e.Errorf("%d more bytes, and no error, after the context ended", n)
	} else if !backend.IsKind(err, backend.KindCanceled) {
		e.Errorf("kind %q: %v", backend.KindOf(err), err)
	}
	e.wantContent("a", data)
}

// endingBody cancels a context when half of it was read, and is slow from there on, so that
// the rest is not on its way before anybody notices.
type endingBody struct {
	*bytes.Reader
	cancel context.CancelFunc
}

func (b *endingBody) Read(p []byte) (int, error) {
	if b.Len() <= int(b.Size()/2) {
		b.cancel()
		time.Sleep(5 * time.Millisecond)
	}
	return b.Reader.Read(p[:min(len(p), 64<<10)])
}

// canceledWriting: a write that is stopped half way stores nothing.
func canceledWriting(e *env) {
	was := e.put("a", []byte("stays"))
	up := e.create("part", backend.Properties{})
	data := noise(71, e.big(6*backend.MiB))
	for i, cond := range []backend.Condition{{}, {IfMatch: was.ETag}} {
		if i == 1 && !e.caps.PutIfMatch {
			continue
		}
		ctx, cancel := context.WithCancel(e.ctx)
		in := e.input("a", data)
		in.Body, in.Condition = &endingBody{bytes.NewReader(data), cancel}, cond
		_, err := e.store.Put(ctx, in)
		e.wantKind(fmt.Sprintf("Put with condition %+v", cond), err, backend.KindCanceled)
		e.wantUntouched("a", "stays", was)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	in := e.partInput(up, 1, data)
	in.Body = &endingBody{bytes.NewReader(data), cancel}
	_, err := e.store.UploadPart(ctx, in)
	e.wantKind("UploadPart", err, backend.KindCanceled)
	// Under another number: a server may notice only later that the first one was given up.
	p := e.part(up, 2, []byte("afterwards"))
	e.complete(completion(up, p))
	e.wantContent("part", []byte("afterwards"))
}
