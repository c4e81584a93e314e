package remotes

import (
	"context"
	"io"
	"net/url"

	"github.com/objmount/objmount/backend"
)

// Head implements backend.Reader.
func (s *Store) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	m, err := s.find("HeadObject", &id.Bucket, id.Key)
	if err != nil {
		return backend.Object{}, err
	}
	return m.object(m.Store.Head(ctx, id, opt))
}

// Get implements backend.Reader.
func (s *Store) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	m, err := s.find("GetObject", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	body, err := m.Store.Get(ctx, id, opt)
	if err != nil {
		return nil, m.failed(err)
	}
	body.Object, _ = m.object(body.Object, nil)
	return body, nil
}

// List implements backend.Lister.
func (s *Store) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	m, err := s.find("ListObjectsV2", &in.Bucket, in.Prefix)
	if err != nil {
		return backend.Page{}, err
	}
	page, err := m.Store.List(ctx, in)
	for i := range page.Objects {
		page.Objects[i], _ = m.object(page.Objects[i], nil)
	}
	return page, m.failed(err)
}

// Put implements backend.Writer.
func (s *Store) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	m, err := s.find("PutObject", &in.Bucket, in.Key)
	if err != nil {
		return backend.Object{}, err
	}
	return m.object(m.Store.Put(ctx, in))
}

// Copy implements backend.Writer. Between two remotes it is KindElsewhere.
func (s *Store) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	m, err := s.findSource("CopyObject", &in.Bucket, in.Key, &in.Source)
	if err != nil {
		return backend.Object{}, err
	}
	return m.object(m.Store.Copy(ctx, in))
}

// Delete implements backend.Writer.
func (s *Store) Delete(ctx context.Context, in backend.DeleteInput) error {
	m, err := s.find("DeleteObject", &in.Bucket, in.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.Delete(ctx, in))
}

// DeleteMany implements backend.Writer.
func (s *Store) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	m, err := s.find("DeleteObjects", &bucket, "")
	if err != nil {
		return nil, err
	}
	return m.results(m.Store.DeleteMany(ctx, bucket, keys))
}

// CreateUpload implements backend.Multipart.
func (s *Store) CreateUpload(ctx context.Context, in backend.CreateUploadInput) (string, error) {
	m, err := s.find("CreateMultipartUpload", &in.Bucket, in.Key)
	if err != nil {
		return "", err
	}
	id, err := m.Store.CreateUpload(ctx, in)
	return id, m.failed(err)
}

// UploadPart implements backend.Multipart.
func (s *Store) UploadPart(ctx context.Context, in backend.PartInput) (backend.Part, error) {
	m, err := s.find("UploadPart", &in.Bucket, in.Key)
	if err != nil {
		return backend.Part{}, err
	}
	part, err := m.Store.UploadPart(ctx, in)
	return part, m.failed(err)
}

// CopyPart implements backend.Multipart. Between two remotes it is KindElsewhere.
func (s *Store) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	m, err := s.findSource("UploadPartCopy", &in.Bucket, in.Key, &in.Source)
	if err != nil {
		return backend.Part{}, err
	}
	part, err := m.Store.CopyPart(ctx, in)
	return part, m.failed(err)
}

// CompleteUpload implements backend.Multipart.
func (s *Store) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	m, err := s.find("CompleteMultipartUpload", &in.Bucket, in.Key)
	if err != nil {
		return backend.Object{}, err
	}
	return m.object(m.Store.CompleteUpload(ctx, in))
}

// AbortUpload implements backend.Multipart.
func (s *Store) AbortUpload(ctx context.Context, up backend.Upload) error {
	m, err := s.find("AbortMultipartUpload", &up.Bucket, up.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.AbortUpload(ctx, up))
}

// ListParts implements backend.Multipart.
func (s *Store) ListParts(ctx context.Context, up backend.Upload) ([]backend.Part, error) {
	m, err := s.find("ListParts", &up.Bucket, up.Key)
	if err != nil {
		return nil, err
	}
	parts, err := m.Store.ListParts(ctx, up)
	return parts, m.failed(err)
}

// ListUploads implements backend.Multipart.
func (s *Store) ListUploads(ctx context.Context, id backend.ObjectID) ([]backend.Upload, error) {
	m, err := s.find("ListMultipartUploads", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	list, err := m.Store.ListUploads(ctx, id)
	for i := range list {
		list[i].Bucket = Name(m.name, list[i].Bucket)
	}
	return list, m.failed(err)
}

// ListVersions implements backend.Versioner.
func (s *Store) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	m, err := s.find("ListObjectVersions", &in.Bucket, in.Prefix)
	if err != nil {
		return backend.VersionPage{}, err
	}
	page, err := m.Store.ListVersions(ctx, in)
	for i := range page.Versions {
		page.Versions[i].Object, _ = m.object(page.Versions[i].Object, nil)
	}
	return page, m.failed(err)
}

// DeleteVersions implements backend.Versioner.
func (s *Store) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypass bool) ([]backend.DeleteResult, error) {
	m, err := s.find("DeleteObjects", &bucket, "")
	if err != nil {
		return nil, err
	}
	return m.results(m.Store.DeleteVersions(ctx, bucket, ids, bypass))
}

// Select implements backend.Selector.
func (s *Store) Select(ctx context.Context, in backend.SelectInput, w io.Writer) (backend.SelectStats, error) {
	m, err := s.find("SelectObjectContent", &in.Object.Bucket, in.Object.Key)
	if err != nil {
		return backend.SelectStats{}, err
	}
	stats, err := m.Store.Select(ctx, in, w)
	return stats, m.failed(err)
}

// Presign implements backend.Presigner: with the credentials of the remote.
func (s *Store) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	m, err := s.find("Presign", &in.Object.Bucket, in.Object.Key)
	if err != nil {
		return backend.Presigned{}, err
	}
	out, err := m.Store.Presign(ctx, in)
	return out, m.failed(err)
}

// PresignPost implements backend.Presigner: with the credentials of the remote.
func (s *Store) PresignPost(ctx context.Context, in backend.PostInput) (backend.Presigned, error) {
	m, err := s.find("PresignPost", &in.Object.Bucket, in.Object.Key)
	if err != nil {
		return backend.Presigned{}, err
	}
	out, err := m.Store.PresignPost(ctx, in)
	return out, m.failed(err)
}

// ObjectURL implements backend.Presigner.
func (s *Store) ObjectURL(ctx context.Context, id backend.ObjectID) (*url.URL, error) {
	m, err := s.find("ObjectURL", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	address, err := m.Store.ObjectURL(ctx, id)
	return address, m.failed(err)
}
