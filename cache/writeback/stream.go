package writeback

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// stream sends full parts of a file that is still being written at its end. A runner starts them
// one after another and ends when there is nothing to do; Grown starts it again. The job that
// commits the file takes over what is stored and what is on its way.
type stream struct {
	q     *Queue
	file  *staging.File
	share *share
	ctx   context.Context // of the parts
	stop  context.CancelFunc
	turn  context.Context // of waiting for a turn to send; ends with the stream
	halt  context.CancelFunc

	// Guarded by Queue.mu.
	next    int64 // the size of the file at which there may be something to do
	idle    chan struct{}
	busy    bool // idle is open
	halted  bool
	retryAt time.Time
	tries   int
	flights map[int32]*flight
	failed  int     // of these, ended with an error
	stored  []int32 // numbers of parts that the store has, and the file too
	bytes   int64   // of all parts that the store has
	frugal  bool    // the file outgrows staging: parts are given back

	// Of the runner.
	upload *openUpload
	caps   backend.Capabilities
	opt    Options
	base   []Part // before the part of the file that is streamed
	pos    int64
	number int32 // of the last part
}

// flight is a part on its way. etag and err are set before done is closed.
type flight struct {
	uploadID string
	part     Part
	done     chan struct{}
	etag     string
	err      error
}

func (f *flight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// Grown says that the file was written at its end. When parts of it are complete they are sent
// in the background, so that a commit has only the rest to wait for. It costs next to nothing when
// there is nothing to do. A file gets a multipart upload when two parts are complete.
func (q *Queue) Grown(f *staging.File) {
	size := f.Size()
	if size < 2*q.streamPart(f) || f.State() == staging.StateScratch {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	e := q.entryLocked(f)
	if len(e.jobs) > 0 { // it may be the upload's turn to go on with all of it
		return
	}
	if e.stream == nil {
		e.stream = q.newStream(f)
	}
	s := e.stream
	if s.busy || s.halted || size < s.next && s.failed == 0 || s.restsLocked() {
		return
	}
	s.busy, s.idle = true, make(chan struct{})
	q.work.Add(1)
	go s.run()
}

func (q *Queue) newStream(f *staging.File) *stream {
	s := &stream{q: q, file: f, share: q.shareOf(f.Spec().Target.Bucket), flights: make(map[int32]*flight)}
	s.ctx, s.stop = context.WithCancel(q.ctx)
	s.turn, s.halt = context.WithCancel(s.ctx)
	return s
}

// run starts parts as long as there are complete ones.
func (s *stream) run() {
	defer s.q.work.Done()
	for {
		next, err := s.step()
		s.q.mu.Lock()
		// Grown does nothing while busy, so the size counts that it has now.
		if err == nil && s.turn.Err() == nil && !s.restsLocked() && s.file.Size() >= next {
			s.q.mu.Unlock()
			continue
		}
		s.next, s.busy = next, false
		close(s.idle)
		s.q.mu.Unlock()
		return
	}
}

// step starts the next part, or makes the upload. It returns the size of the file at which there is
// more to do.
func (s *stream) step() (int64, error) {
	size := s.file.Size()
	if s.upload == nil {
		if next, err := s.begin(size); s.upload == nil {
			return next, err
		}
	}
	part, again := s.again()
	if !again {
		next := int64(0)
		if part, next = s.part(size); next > 0 {
			return next, nil
		}
	}
	if err := s.share.takePart(s.turn); err != nil {
		return 0, err
	}
	s.launch(part)
	return 0, nil
}

// again returns a part that failed: with it sent, all of the file before the last parts can be given back.
func (s *stream) again() (Part, bool) {
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	if s.failed == 0 {
		return Part{}, false
	}
	for _, f := range s.flights {
		if f.ended() && f.err != nil {
			return f.part, true
		}
	}
	return Part{}, false
}

// begin makes the upload if the file is one that is written at its end; else it returns the
// size at which to look again.
func (s *stream) begin(size int64) (int64, error) {
	tail, next := s.tail(size)
	if next > 0 {
		return next, nil
	}
	s.caps = s.q.cfg.Capabilities(s.file.Spec().Target.Bucket)
	lim := fillLimits(s.caps.Limits)
	s.opt = Options{PartSize: s.q.streamPart(s.file)}.withDefaults(lim)
	if s.file.Streamed() > 0 || !s.plan(tail, lim, size) { // or: the upload of an earlier time is needed
		return math.MaxInt64, nil
	}
	s.q.abandonUpload(s.file) // of an earlier time
	if err := s.q.cfg.BeforeStream(s.file); err != nil {
		s.fail(err)
		return 0, err
	}
	spec, generation := s.file.Spec(), s.file.Generation()
	props := tagged(spec.Properties, tagOf(generation, s.file))
	id, err := s.q.create(s.file, spec.Target, props, generation)
	if err != nil {
		s.fail(err)
		return 0, err
	}
	s.q.counts.streams.Add(1)
	s.upload = &openUpload{id: id, target: spec.Target, stamp: stampOf(generation, props)}
	return 0, nil
}

// tail returns where the bytes at the end of the file begin that are only local, or the size at which there may be
// enough of them. A file with holes is not written from the start to the end.
func (s *stream) tail(size int64) (tail, next int64) {
	exts := s.file.Extents(0, size)
	tail = size
	for i := len(exts) - 1; i >= 0; i-- {
		e := exts[i]
		if !e.Local && e.Object == nil {
			return 0, size + s.q.streamPart(s.file)
		}
		if e.Local && e.Object == nil && e.End() == tail {
			tail = e.Off
		}
	}
	if enough := tail + 2*s.q.streamPart(s.file); size < enough {
		return 0, enough
	}
	return tail, 0
}

// plan lays out what comes before the tail. False: this file is better not streamed.
func (s *stream) plan(tail int64, lim backend.Limits, size int64) bool {
	s.base, s.pos, s.number = nil, 0, 0
	if tail < lim.MinPart {
		return true // a piece of the first part
	}
	exts := s.file.Freeze(0, tail)
	p := planner{lim: lim, opt: s.opt, cost: newCosts(exts)}
	if s.caps.PartCopy {
		p.runs = findRuns(exts, s.caps.CopyPartIfMatch)
	}
	base, ok := p.fresh(0, tail, 1, lim.MaxParts/2, false)
	if !ok || lim.EqualParts || moved(base) > size-tail {
		return false
	}
	s.base, s.pos, s.number = base, tail, int32(len(base))
	return true
}

// part returns the next part that is complete, or the size of the file at which to look again.
func (s *stream) part(size int64) (Part, int64) {
	if len(s.base) > 0 {
		part := s.base[0]
		s.base = s.base[1:]
		return part, 0
	}
	lim := fillLimits(s.caps.Limits)
	number := s.number + 1
	length := streamSize(number, s.opt.PartSize, lim)
	if most := s.file.Limit() / roomParts; most > 0 && !lim.EqualParts {
		length = min(length, max(most, s.opt.PartSize)) // a part has to be complete before any of it is given back
	}
	if length == 0 {
		return Part{}, math.MaxInt64
	}
	if size < s.pos+length {
		return Part{}, s.pos + length
	}
	for _, e := range s.file.Extents(s.pos, length) {
		if !e.Local && (e.Object == nil || s.pos > 0) {
			return Part{}, size + s.q.cfg.PartSize
		}
	}
	exts := s.file.Freeze(s.pos, length)
	p := planner{lim: lim, opt: s.opt, cost: newCosts(exts)}
	part := p.part(number, s.pos, length)
	s.pos, s.number = s.pos+length, number
	return part, 0
}

// streamSize is the length of a part of a file whose final size is not known: the usual size for a
// tenth of the part numbers, then doubled with every fortieth of them, so that files far
// beyond that fit. The last tenth of the numbers is left for the commit (0).
func streamSize(number int32, usual int64, lim backend.Limits) int64 {
	if number > lim.MaxParts-lim.MaxParts/10 {
		return 0
	}
	steady, step := max(lim.MaxParts/10, 1), max(lim.MaxParts/40, 1)
	if lim.EqualParts || number <= steady {
		return usual
	}
	doublings := (number-steady-1)/step + 1
	if doublings > 40 || usual > lim.MaxPart>>doublings {
		return lim.MaxPart
	}
	return usual << doublings
}

// launch sends a part; the runner has taken the turn.
func (s *stream) launch(part Part) {
	f := &flight{uploadID: s.upload.id, part: part, done: make(chan struct{})}
	s.q.mu.Lock()
	if s.flights[part.Number] != nil {
		s.failed--
	}
	s.flights[part.Number] = f
	s.q.mu.Unlock()
	s.q.work.Add(1)
	go func() {
		defer s.q.work.Done()
		began := time.Now()
		f.etag, f.err = s.q.sendPart(s.ctx, s.file, s.caps, s.upload, part, nil)
		s.share.givePart()
		if f.err != nil {
			s.fail(f.err)
		}
		s.q.mu.Lock()
		defer s.q.mu.Unlock()
		switch {
		case f.err != nil:
			s.failed++
			s.share.failedLocked(began, f.err)
		case !s.halted:
			s.tries = 0
			delete(s.flights, part.Number)
		}
		if f.err == nil {
			s.share.tookLocked()
			s.stored, s.bytes = append(s.stored, part.Number), s.bytes+part.Len
			s.giveBackLocked()
		}
		close(f.done)
	}()
}

// restsLocked tells whether the stream has to rest after a failure.
func (s *stream) restsLocked() bool { return !s.retryAt.IsZero() && time.Now().Before(s.retryAt) }

// fail pauses the stream. What failed is sent by the commit.
func (s *stream) fail(err error) {
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	s.tries++
	pause := s.q.backoff(s.tries)
	if !backend.Temporary(err) {
		pause = time.Hour
	}
	s.retryAt = time.Now().Add(pause)
	s.q.cfg.Log.Debug("sending parts of a growing file failed", "error", err.Error())
}

// landStream ends the stream of a file for a job. It returns the parts on their way; landed waits
// for them.
func (q *Queue) landStream(f *staging.File) (flights map[int32]*flight, landed func()) {
	q.mu.Lock()
	e := q.files[f]
	if e == nil || e.stream == nil {
		q.mu.Unlock()
		return nil, func() {}
	}
	s := e.stream
	s.halted = true
	s.halt()
	busy, idle := s.busy, s.idle
	q.mu.Unlock()
	if busy {
		<-idle
	}
	q.mu.Lock()
	flights = maps.Clone(s.flights)
	q.mu.Unlock()
	return flights, func() {
		waitAll(flights)
		s.stop()
		q.mu.Lock()
		defer q.mu.Unlock()
		e.stream = nil
		q.tidyLocked(f, e)
	}
}

func waitAll(flights map[int32]*flight) {
	for _, f := range flights {
		<-f.done
	}
}

// wait returns when no part of an earlier stream is on its way.
func (a *attempt) wait() { waitAll(a.flight) }
