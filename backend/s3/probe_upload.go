package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// begin starts an upload of a scratch object.
func (p *prober) begin(ctx context.Context, name string) (backend.Upload, error) {
	up := backend.Upload{Bucket: p.bucket, Key: p.base + name}
	var err error
	up.UploadID, err = p.store.CreateUpload(ctx, backend.CreateUploadInput{Bucket: up.Bucket, Key: up.Key})
	return up, err
}

// abort forgets an upload that was not completed.
func (p *prober) abort(ctx context.Context, up backend.Upload) {
	if err := p.store.AbortUpload(context.WithoutCancel(ctx), up); err != nil {
		p.store.log.Debug("upload of a probe could not be aborted", "key", up.Key, "error", err)
	}
}

// upload starts an upload of one part.
func (p *prober) upload(ctx context.Context, name, content string) (backend.Upload, backend.Part, error) {
	up, err := p.begin(ctx, name)
	if err != nil {
		return up, backend.Part{}, err
	}
	part, err := p.store.UploadPart(ctx, backend.PartInput{
		Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: 1, Body: strings.NewReader(content), Size: int64(len(content)),
	})
	if err != nil {
		p.abort(ctx, up)
	}
	return up, part, err
}

func (p *prober) complete(ctx context.Context, up backend.Upload, part backend.Part, cond backend.Condition) error {
	obj, err := p.store.CompleteUpload(ctx, backend.CompleteInput{
		Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Parts: []backend.Part{part}, Size: part.Size, Condition: cond,
	})
	if err == nil || backend.IsKind(err, backend.KindUnknown) {
		p.made(up.Key, obj.VersionID)
	}
	return err
}

// completeIfNoneMatch completes one upload where nothing is and another where that one is.
func (p *prober) completeIfNoneMatch(ctx context.Context) error {
	for _, first := range []bool{true, false} {
		up, part, err := p.upload(ctx, "-complete-none", "x")
		if err != nil {
			return err
		}
		err = p.complete(ctx, up, part, backend.Condition{IfNoneMatch: true})
		if err != nil {
			p.abort(ctx, up)
		}
		if !first {
			err = refused(err, backend.KindExist)
		}
		if err != nil {
			return err
		}
	}
	p.is("CompleteIfNoneMatch")
	return nil
}

// completeIfMatch completes an upload with a stale ETag, then with the right one.
func (p *prober) completeIfMatch(ctx context.Context) error {
	obj, err := p.write(ctx, "-complete-match", "before", backend.Condition{})
	if err != nil {
		return err
	}
	up, part, err := p.upload(ctx, "-complete-match", "after")
	if err != nil {
		return err
	}
	defer p.abort(ctx, up)
	if err := refused(p.complete(ctx, up, part, backend.Condition{IfMatch: noETag}), backend.KindChanged); err != nil {
		return err
	}
	if err := p.complete(ctx, up, part, backend.Condition{IfMatch: obj.ETag}); err != nil {
		return err
	}
	p.is("CompleteIfMatch")
	return nil
}

// parted makes a scratch object by an upload. What holds of such a one holds of others too;
// Swift compares the ETags of these with others of its own.
func (p *prober) parted(ctx context.Context, name, content string) (backend.Object, error) {
	up, part, err := p.upload(ctx, name, content)
	if err != nil {
		return backend.Object{}, err
	}
	if err := p.complete(ctx, up, part, backend.Condition{}); err != nil {
		p.abort(ctx, up)
		return backend.Object{}, err
	}
	return p.store.Head(ctx, backend.ObjectID{Bucket: up.Bucket, Key: up.Key}, backend.GetOptions{})
}

// copied copies one scratch object to another.
func (p *prober) copied(ctx context.Context, from backend.Object, to, etag string, cond backend.Condition) (backend.Object, error) {
	obj, err := p.store.Copy(ctx, backend.CopyInput{
		Bucket: p.bucket, Key: p.base + to, Source: backend.Source{Bucket: p.bucket, Key: from.Key, ETag: etag}, Condition: cond,
	})
	if err == nil || backend.IsKind(err, backend.KindUnknown) {
		p.made(p.base+to, obj.VersionID)
	}
	return obj, err
}

func (p *prober) copySource(ctx context.Context) error {
	from, err := p.parted(ctx, "-copy-from", "x")
	if err != nil {
		return err
	}
	_, err = p.copied(ctx, from, "-copy-to", noETag, backend.Condition{})
	if err := refused(err, backend.KindChanged); err != nil {
		return err
	}
	if _, err := p.copied(ctx, from, "-copy-to", from.ETag, backend.Condition{}); err != nil {
		return err
	}
	p.is("CopySourceIfMatch")
	return nil
}

// copyDestination wants all four: both conditions, failing and holding.
func (p *prober) copyDestination(ctx context.Context) error {
	from, err := p.write(ctx, "-destination-from", "x", backend.Condition{})
	if err != nil {
		return err
	}
	const to = "-destination-to"
	there, err := p.copied(ctx, from, to, "", backend.Condition{IfNoneMatch: true})
	if err != nil {
		return err
	}
	_, err = p.copied(ctx, from, to, "", backend.Condition{IfNoneMatch: true})
	if err := refused(err, backend.KindExist); err != nil {
		return err
	}
	_, err = p.copied(ctx, from, to, "", backend.Condition{IfMatch: noETag})
	if err := refused(err, backend.KindChanged); err != nil {
		return err
	}
	if _, err := p.copied(ctx, from, to, "", backend.Condition{IfMatch: there.ETag}); err != nil {
		return err
	}
	p.is("CopyDestination")
	return nil
}

// copyPart believes the bytes, not the answer.
func (p *prober) copyPart(ctx context.Context) error {
	from, err := p.parted(ctx, "-part-from", "0123456789")
	if err != nil {
		return err
	}
	up, err := p.begin(ctx, "-part-to")
	if err != nil {
		return err
	}
	defer p.abort(ctx, up)
	part := func(etag string) (backend.Part, error) {
		return p.store.CopyPart(ctx, backend.CopyPartInput{
			Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: 1,
			Source: backend.Source{Bucket: p.bucket, Key: from.Key, ETag: etag}, Range: backend.Range{Off: 3, Len: 4},
		})
	}
	done, err := part("")
	if err != nil {
		return err
	}
	_, failing := part(noETag)
	again, holding := part(from.ETag)
	if holding == nil {
		done = again
	}
	if err := p.complete(ctx, up, done, backend.Condition{}); err != nil {
		return err
	}
	got, err := p.read(ctx, up.Key)
	if err != nil {
		return err
	}
	if got != "3456" {
		return errAbsent
	}
	p.is("PartCopy")
	if holding != nil {
		return holding
	}
	if err := refused(failing, backend.KindChanged); err != nil {
		return err
	}
	p.is("CopyPartIfMatch")
	return nil
}

// listed returns the names below a scratch prefix.
func (p *prober) listed(ctx context.Context, prefix string) ([]string, error) {
	page, err := p.store.List(ctx, backend.ListInput{Bucket: p.bucket, Prefix: p.base + prefix})
	var names []string
	for _, obj := range page.Objects {
		names = append(names, strings.TrimPrefix(obj.Key, p.base))
	}
	return names, err
}

// keeps stores an object under each name, each with its name as content, and returns nil
// when a listing shows them all and each can be read.
func (p *prober) keeps(ctx context.Context, prefix string, names ...string) error {
	for _, name := range names {
		if _, err := p.write(ctx, name, name, backend.Condition{}); err != nil {
			return err
		}
	}
	got, err := p.listed(ctx, prefix)
	if err != nil {
		return err
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		return errAbsent
	}
	for _, name := range names {
		content, err := p.read(ctx, p.base+name)
		if err != nil {
			return err
		}
		if content != name {
			return errAbsent
		}
	}
	return nil
}

func (p *prober) fileAndPrefix(ctx context.Context) error {
	if err := p.keeps(ctx, "-both", "-both", "-both/below"); err != nil {
		return err
	}
	p.is("FileAndPrefix")
	return nil
}

// anyKey stays below the scratch prefix even where names are cleaned as paths are.
func (p *prober) anyKey(ctx context.Context) error {
	if err := p.keeps(ctx, "-any/", "-any/x//y", "-any/x/./y", "-any/x/../y", "-any/x/y"); err != nil {
		return err
	}
	p.is("AnyKey")
	return nil
}

// underscores asks for a key that few change, and only on some of their ways (Swift: uploads).
func (p *prober) underscores(ctx context.Context) error {
	const key = "a_b"
	up := backend.CreateUploadInput{Bucket: p.bucket, Key: p.base + "-meta", Properties: backend.Properties{Metadata: map[string]string{key: "1"}}}
	id, err := p.store.CreateUpload(ctx, up)
	if err != nil {
		return err
	}
	upload := backend.Upload{Bucket: up.Bucket, Key: up.Key, UploadID: id}
	defer p.abort(ctx, upload)
	part, err := p.store.UploadPart(ctx, backend.PartInput{Bucket: up.Bucket, Key: up.Key, UploadID: id, Number: 1, Body: strings.NewReader("x"), Size: 1})
	if err != nil {
		return err
	}
	if err := p.complete(ctx, upload, part, backend.Condition{}); err != nil {
		return err
	}
	obj, err := p.store.Head(ctx, backend.ObjectID{Bucket: up.Bucket, Key: up.Key}, backend.GetOptions{})
	if err != nil {
		return err
	}
	if obj.Metadata[key] != "1" {
		return errAbsent
	}
	p.is("Underscores")
	return nil
}
