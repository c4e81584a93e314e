package staging

import "time"

// syncJob is the data of a file that was synced, and the seal it belongs to.
type syncJob struct {
	file    *File
	sealSeq uint64 // 0: there is no seal to mark
	number  uint64 // of the seal
}

// syncData makes the local bytes durable. Callers that come meanwhile wait for it.
func (f *File) syncData() (syncJob, error) {
	f.syncMu.Lock()
	defer f.syncMu.Unlock()
	f.mu.Lock()
	job := syncJob{file: f}
	if f.promise != nil && f.fallback != f.seals {
		job.sealSeq, job.number = f.sealSeq, f.seals
	}
	todo, err, id := f.dataDirty && f.created && !f.removed, f.syncErr, f.spec.Target
	if f.removed {
		job.sealSeq = 0
	}
	if todo {
		f.dataDirty = false
	}
	f.mu.Unlock()
	if err != nil || !todo {
		return job, err
	}
	file, err := f.area.handles.acquire(&f.data, false)
	if err == nil {
		err = file.Sync()
		f.area.handles.release(&f.data)
	}
	if err == nil {
		return job, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removed { // meanwhile: nobody needs it
		return syncJob{file: f}, nil
	}
	// The kernel may have dropped what it could not write: a later sync would succeed and lie.
	f.dataDirty, f.syncErr = true, diskError("sync", id, err)
	return job, f.syncErr
}

// synced takes in that a seal, its data and its mark are durable.
func (f *File) synced(job syncJob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if job.sealSeq == 0 {
		return
	}
	f.durable = true
	if f.promise != nil && f.sealSeq == job.sealSeq {
		f.fallback = job.number
	}
}

// startSync has the kernel begin to write out what syncData waits for.
func (f *File) startSync() {
	f.mu.Lock()
	todo := f.promise != nil && f.dataDirty && f.created && !f.removed
	f.mu.Unlock()
	if !todo {
		return
	}
	if file, err := f.area.handles.acquire(&f.data, false); err == nil {
		file.StartSync()
		f.area.handles.release(&f.data)
	}
}

// promised tells whether a seal waits for its upload.
func (f *File) promised() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.promise != nil && !f.removed
}

// checkpointRate bounds what the maps of files that are being written cost: bytes of journal a second.
const checkpointRate = 256 << 10

// checkpoint journals the map, so that what was written is readable after a crash. A large map is
// written less often than once a second, unless somebody waits for space that it would set free.
func (f *File) checkpoint(force bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = false
	if f.removed || !f.mapDue {
		return nil
	}
	if !force && time.Now().Before(f.nextMap) {
		f.dueLocked()
		return nil
	}
	r := f.record(recordCheckpoint, f.contentLocked())
	if err := f.journalLocked(r); err != nil {
		f.dueLocked()
		return err
	}
	if n := len(r.payload); n > checkpointRate {
		f.nextMap = time.Now().Add(time.Duration(n) * time.Second / checkpointRate)
	}
	return nil
}

// retry has the sync goroutine look at the file again.
func (f *File) retry() {
	f.mu.Lock()
	f.dueLocked()
	f.mu.Unlock()
}

// unstreamLocked says that no part of ranges that died before a seal is on its way.
func (f *File) unstreamLocked(seals uint64) {
	f.space.unstream(seals)
	if len(f.space.dead) > 0 {
		f.dueLocked()
	}
}

// reclaim gives back the space that nothing refers to.
func (f *File) reclaim(synced uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.space.dead) == 0 || !f.created || f.removed {
		return
	}
	oldest := uint64(1<<64 - 1)
	if len(f.snapshots) > 0 {
		oldest = f.snapshots[0].number
	}
	if f.promise != nil {
		oldest = min(oldest, f.seals)
	}
	if f.fallback != 0 {
		oldest = min(oldest, f.fallback)
	}
	f.punchLocked(f.space.take(oldest, synced))
}

// punchLocked makes holes in the data file. Where that cannot be done the space stays counted.
func (f *File) punchLocked(list []span) {
	if len(list) == 0 {
		return
	}
	file, err := f.area.handles.acquire(&f.data, false)
	if err != nil {
		return // the space is given back with the file
	}
	defer f.area.handles.release(&f.data)
	freed := int64(0)
	for _, r := range list {
		hole := blocks(f.space.free(r), r)
		if hole.len > 0 {
			err = file.Punch(hole.off, hole.len)
		}
		if err != nil {
			f.area.log.Debug("staging cannot give space back", "file", f.ID(), "error", err.Error())
			break
		}
		freed += r.len
	}
	f.space.held -= freed
	f.area.giveBack(freed)
}
