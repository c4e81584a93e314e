package fs

import (
	"fmt"

	"github.com/objmount/objmount/cache/staging"
)

// Status answers from memory.
func (f *FS) Status() Status {
	usage := f.cfg.Staging.Usage()
	s := Status{
		Inodes: f.tree.count(), MaxInodes: f.cfg.MaxInodes, Waiting: int(f.waiting.Load()), OpenFiles: f.handles.len(), OpenDirs: f.dirs.len(), Passthrough: f.passthrough.Load(),
		Pending: f.queue.Pending(), Kept: []KeptFile{},
		Staging: StagingStatus{Bytes: usage.Bytes, Limit: usage.Limit, Files: usage.Files, Quarantined: usage.Quarantined},
	}
	tags, refused := f.tags.status()
	s.Pending, s.Kept = append(s.Pending, tags...), append(s.Kept, refused...)
	for _, file := range f.cfg.Staging.Files() {
		kept := KeptFile{ID: file.ID(), Size: file.Size(), Reason: file.Reason(), Path: file.DataPath()}
		switch file.State() {
		case staging.StateConflict:
			kept.State = "conflict"
		case staging.StateInterrupted:
			kept.State = "interrupted"
		default:
			unfit := f.unfit(file)
			if unfit == nil {
				continue
			}
			kept.State, kept.Reason = "refused", unfit.Error()
		}
		if up, n := file.Upload(), file.Streamed(); up != nil && n > 0 {
			kept.Reason += fmt.Sprintf("; %d bytes of it are only in the unfinished multipart upload %s", n, up.UploadID)
		}
		target := file.Spec().Target
		kept.Bucket, kept.Key = target.Bucket, target.Key
		s.Kept = append(s.Kept, kept)
	}
	return s
}
