package staging

import "github.com/objmount/objmount/backend"

// BeginUpload journals the intent of a multipart upload to target, before the request is sent: so
// that after a crash an upload nobody knows the id of can be looked for. Parts of an earlier one are
// forgotten. The upload has the file's generation of now.
func (f *File) BeginUpload(target backend.ObjectID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.setUploadLocked(&Upload{Target: target, Generation: f.generation})
}

// SetUpload journals the id that the store gave to the upload. KindInvalid without a BeginUpload.
func (f *File) SetUpload(uploadID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.upload == nil {
		return refuse(backend.KindInvalid, "upload", f.spec.Target, "no upload was begun")
	}
	return f.setUploadLocked(&Upload{UploadID: uploadID, Target: f.upload.Target, Generation: f.upload.Generation})
}

func (f *File) setUploadLocked(up *Upload) error {
	if err := f.usableLocked("upload"); err != nil {
		return err
	}
	if err := f.uploadRecordLocked(f.uploadRecord(up)); err != nil {
		return err
	}
	f.upload = up
	return nil
}

func (f *File) uploadRecord(up *Upload) record {
	var e encoder
	e.object(up.Target)
	e.string(up.UploadID)
	e.string(up.Generation)
	return record{kind: recordUpload, file: f.id, payload: e.b}
}

// uploadRecordLocked journals what happened to the upload. The file itself must be there before.
func (f *File) uploadRecordLocked(r record) error {
	if !f.recorded {
		return f.journalLocked(f.record(recordCheckpoint, f.contentLocked()), r)
	}
	return f.journalLocked(r)
}

// AddPart journals a part that the store confirmed; it replaces one of the same number. The part's
// Content must be frozen and is not changed afterwards. KindInvalid without an upload.
func (f *File) AddPart(p DonePart) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("upload"); err != nil {
		return err
	}
	if f.upload == nil || f.upload.UploadID == "" {
		return refuse(backend.KindInvalid, "upload", f.spec.Target, "no upload was begun")
	}
	if err := f.uploadRecordLocked(f.partRecord(p)); err != nil {
		return err
	}
	f.upload.put(p)
	return nil
}

func (f *File) partRecord(p DonePart) record {
	var e encoder
	e.int(int64(p.Number))
	e.string(p.ETag)
	e.int(p.Off)
	e.int(p.Len)
	e.extents(p.Content)
	return record{kind: recordPart, file: f.id, payload: e.b}
}

// ForgetUpload says that the upload is over (aborted, or given up) and that nobody reads frozen
// bytes for it. Committed does it by itself.
func (f *File) ForgetUpload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unstreamLocked(1<<64 - 1)
	if f.upload == nil {
		return nil
	}
	if f.recorded && !f.removed {
		if err := f.journalLocked(record{kind: recordNoUpload, file: f.id}); err != nil {
			return err
		}
	}
	f.upload = nil
	return nil
}

// Upload returns a copy of the multipart upload, or nil.
func (f *File) Upload() *Upload {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.upload.clone()
}
