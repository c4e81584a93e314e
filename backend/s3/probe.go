package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// noETag is well formed and nobody's.
const noETag = "00000000000000000000000000000000"

// probe tries what is not known of a store on scratch keys. Every trial asks for both: the
// refusal of a condition that fails and the success of one that holds; some stores give
// neither, or always the same.
func (s *Store) probe(ctx context.Context, bucket, prefix string, known *vendor, caps backend.Capabilities) (backend.Capabilities, error) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	p := &prober{
		store: s, bucket: bucket, base: prefix + ".objmount-probe-" + hex.EncodeToString(id[:]), known: known,
		found: caps, written: make(map[scratch]bool),
	}
	err := p.trials(ctx)
	p.clean(ctx)
	if err != nil {
		return backend.Capabilities{}, err
	}
	return p.found, nil
}

func (p *prober) trials(ctx context.Context) error {
	if p.wants("GetIfMatch") {
		// A store that gives bytes of another version than the one asked for is an imitation
		// that lies elsewhere too (gofakes3, rclone, s3rver): nothing of it is believed.
		if err := p.getIfMatch(ctx); err != nil || !p.found.GetIfMatch {
			p.liar = true
			return p.verdict(err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(6)
	for _, trial := range []struct {
		of  []string
		run func(context.Context) error
	}{
		{[]string{"PutIfNoneMatch", "PutIfMatch"}, p.put},
		{[]string{"CompleteIfNoneMatch"}, p.completeIfNoneMatch},
		{[]string{"CompleteIfMatch"}, p.completeIfMatch},
		{[]string{"CopySourceIfMatch"}, p.copySource},
		{[]string{"CopyDestination"}, p.copyDestination},
		{[]string{"PartCopy", "CopyPartIfMatch"}, p.copyPart},
		{[]string{"DeleteIfMatch"}, p.deleteIfMatch},
		{[]string{"ChecksumCRC64"}, p.checksum},
		{[]string{"FileAndPrefix"}, p.fileAndPrefix},
		{[]string{"AnyKey"}, p.anyKey},
		{[]string{"Underscores"}, p.underscores},
	} {
		if slices.ContainsFunc(trial.of, p.wants) {
			group.Go(func() error { return p.verdict(trial.run(ctx)) })
		}
	}
	return group.Wait()
}

// prober is one run of trials.
type prober struct {
	store        *Store
	bucket, base string
	known        *vendor
	liar         bool // nothing more is claimed

	mu      sync.Mutex
	found   backend.Capabilities
	written map[scratch]bool // what has to be removed
}

// scratch is a version that a trial made; the id is empty without versions.
type scratch struct{ key, version string }

// errAbsent ends a trial whose ability is not there.
var errAbsent = errors.New("not there")

// verdict is nil for a trial that came to an end, and an error when nothing was learned.
func (p *prober) verdict(err error) error {
	if err == nil || errors.Is(err, errAbsent) {
		return nil
	}
	switch backend.KindOf(err) {
	case backend.KindCanceled, backend.KindUnreachable, backend.KindTransient, backend.KindCredentials, backend.KindNoBucket, backend.KindNoSpace:
		return err
	default:
		return nil // refused: the ability is not there, or not for us
	}
}

// wants reports whether an ability is neither known nor known to be missing.
func (p *prober) wants(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !*ability(&p.found, name) && !slices.Contains(p.known.never, name)
}

func (p *prober) is(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*ability(&p.found, name) = true
}

// made remembers a version that has to be removed.
func (p *prober) made(key, version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written[scratch{key, version}] = true
	if version != "" {
		p.found.Versioned = true
	}
}

// write puts a small object below the scratch prefix.
func (p *prober) write(ctx context.Context, name, content string, cond backend.Condition) (backend.Object, error) {
	return p.writeInput(ctx, name, content, func(in *backend.PutInput) { in.Condition = cond })
}

func (p *prober) writeInput(ctx context.Context, name, content string, change func(*backend.PutInput)) (backend.Object, error) {
	in := backend.PutInput{Bucket: p.bucket, Key: p.base + name, Body: strings.NewReader(content), Size: int64(len(content))}
	change(&in)
	obj, err := p.store.Put(ctx, in)
	if err == nil || !in.Condition.IsZero() && backend.IsKind(err, backend.KindUnknown) {
		p.made(in.Key, obj.VersionID)
	}
	return obj, err
}

// refused returns nil when err is a refusal of a given kind, errAbsent for a success.
func refused(err error, kinds ...backend.Kind) error {
	if err == nil {
		return errAbsent
	}
	if slices.Contains(kinds, backend.KindOf(err)) {
		return nil
	}
	return err
}

// oneWins sends n writes at once and reports whether exactly one succeeded. Losers have one
// of the kinds, or an unknown outcome.
func oneWins(n int, write func(i int) (backend.Object, error), kinds ...backend.Kind) (winner backend.Object, err error) {
	objects, errs := make([]backend.Object, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { objects[i], errs[i] = write(i) })
	}
	wg.Wait()
	winners := 0
	for i, failed := range errs {
		switch {
		case failed == nil:
			winner, winners = objects[i], winners+1
		case !backend.IsKind(failed, backend.KindUnknown) && !slices.Contains(kinds, backend.KindOf(failed)):
			err = failed
		}
	}
	if err == nil && winners != 1 {
		err = errAbsent
	}
	return winner, err
}

func (p *prober) getIfMatch(ctx context.Context) error {
	obj, err := p.write(ctx, "-get", "x", backend.Condition{})
	if err != nil {
		return err
	}
	get := func(etag string) error {
		body, err := p.store.Get(ctx, backend.ObjectID{Bucket: p.bucket, Key: p.base + "-get"}, backend.GetOptions{IfMatch: etag})
		if err == nil {
			body.Close()
		}
		return err
	}
	if err := refused(get(noETag), backend.KindChanged); err != nil {
		return err
	}
	if err := get(obj.ETag); err != nil {
		return err
	}
	p.is("GetIfMatch")
	return nil
}

// put races writers, as some stores check a condition and write later.
func (p *prober) put(ctx context.Context) error {
	contents := []string{"one", "two", "three"}
	race := func(cond backend.Condition, kind backend.Kind, round string) (backend.Object, error) {
		return oneWins(len(contents), func(i int) (backend.Object, error) { return p.write(ctx, "-put", round+contents[i], cond) }, kind)
	}
	obj, err := race(backend.Condition{IfNoneMatch: true}, backend.KindExist, "first ")
	if err == nil {
		_, err = p.write(ctx, "-put", "late", backend.Condition{IfNoneMatch: true})
		err = refused(err, backend.KindExist)
	}
	if err := p.verdict(err); err != nil {
		return err
	}
	if err == nil {
		p.is("PutIfNoneMatch")
	} else if obj, err = p.write(ctx, "-put", "zero", backend.Condition{}); err != nil {
		return err
	}
	if !p.wants("PutIfMatch") {
		return nil
	}
	for _, name := range []string{"-put", "-none"} { // MinIO has had releases that wrote where nothing was
		_, err = p.write(ctx, name, "stale", backend.Condition{IfMatch: noETag})
		if err := refused(err, backend.KindChanged); err != nil {
			return err
		}
	}
	if _, err := race(backend.Condition{IfMatch: obj.ETag}, backend.KindChanged, "second "); err != nil {
		return err
	}
	p.is("PutIfMatch")
	return nil
}

func (p *prober) deleteIfMatch(ctx context.Context) error {
	obj, err := p.write(ctx, "-delete", "x", backend.Condition{})
	if err != nil {
		return err
	}
	remove := func(etag string) error {
		marker, err := p.store.remove(ctx, backend.DeleteInput{Bucket: p.bucket, Key: obj.Key, IfMatch: etag})
		if marker != "" {
			p.made(obj.Key, marker)
		}
		return err
	}
	if err := refused(remove(noETag), backend.KindChanged); err != nil {
		return err
	}
	if err := remove(obj.ETag); err != nil {
		return err
	}
	p.is("DeleteIfMatch")
	return nil
}

func (p *prober) checksum(ctx context.Context) error {
	const content = "checked"
	right, err := Checksum(strings.NewReader(content))
	if err != nil {
		return err
	}
	wrong, err := Checksum(strings.NewReader("other"))
	if err != nil {
		return err
	}
	_, err = p.writeInput(ctx, "-checksum", content, func(in *backend.PutInput) { in.CRC64NVME = wrong })
	if err := refused(err, backend.KindCorrupt); err != nil {
		return err
	}
	up, err := p.begin(ctx, "-checksum-part")
	if err != nil {
		return err
	}
	defer p.abort(ctx, up)
	part := backend.PartInput{Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: 1,
		Body: strings.NewReader(content), Size: int64(len(content)), CRC64NVME: wrong}
	_, err = p.store.UploadPart(ctx, part)
	if err := refused(err, backend.KindCorrupt); err != nil {
		return err
	}
	part.CRC64NVME = right
	done, err := p.store.UploadPart(ctx, part)
	if err != nil {
		return err
	}
	if err := p.complete(ctx, up, done, backend.Condition{}); err != nil {
		return err
	}
	p.is("ChecksumCRC64")
	return nil
}

// clean removes what the trials made, even when ctx has ended, and learns by the way whether
// many keys can be removed at once.
func (p *prober) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	p.mu.Lock()
	var keys []string
	var versions []scratch
	for s := range p.written {
		if s.version != "" {
			versions = append(versions, s)
		} else {
			keys = append(keys, s.key)
		}
	}
	versioned := p.found.Versioned
	p.mu.Unlock()
	if versioned && p.known.versions {
		versions = p.versions(ctx)
		keys = nil
	}
	if versioned || len(keys) == 0 || !p.removeMany(ctx, keys) {
		for _, key := range keys {
			versions = append(versions, scratch{key: key})
		}
	}
	// One key's versions one after the other: two at once may leave one of them.
	byKey := make(map[string][]string)
	for _, v := range versions {
		byKey[v.key] = append(byKey[v.key], v.version)
	}
	var group errgroup.Group
	group.SetLimit(8)
	for key, ids := range byKey {
		group.Go(func() error {
			var failed error
			for _, id := range ids {
				_, err := p.store.remove(ctx, backend.DeleteInput{Bucket: p.bucket, Key: key, VersionID: id})
				failed = errors.Join(failed, err)
			}
			return failed
		})
	}
	if err := group.Wait(); err != nil {
		p.store.log.Warn("objects of a probe could not be removed", "bucket", p.bucket, "prefix", p.base, "error", err)
	}
}

// removeMany removes keys with one request and reports whether that worked.
func (p *prober) removeMany(ctx context.Context, keys []string) bool {
	if p.liar || slices.Contains(p.known.never, "DeleteMany") {
		return false
	}
	results, err := p.store.DeleteMany(ctx, p.bucket, keys)
	if err != nil || slices.ContainsFunc(results, func(r backend.DeleteResult) bool { return r.Err != nil }) {
		return false
	}
	if p.found.DeleteMany {
		return true
	}
	page, err := p.store.List(ctx, backend.ListInput{Bucket: p.bucket, Prefix: p.base})
	if err != nil || len(page.Objects) > 0 {
		return false
	}
	p.is("DeleteMany")
	return true
}

// versions lists all versions and delete markers below the scratch prefix.
func (p *prober) versions(ctx context.Context) []scratch {
	c := call{op: "ListObjectVersions", bucket: p.bucket, repeat: repeatHarmless}
	in := &awss3.ListObjectVersionsInput{Bucket: &p.bucket, Prefix: &p.base}
	out, err := send(ctx, p.store, c, p.store.client.ListObjectVersions, in) // far fewer than a page
	if err != nil {
		p.store.log.Warn("versions of a probe could not be listed", "bucket", p.bucket, "prefix", p.base, "error", err)
		return nil
	}
	var all []scratch
	for _, v := range out.Versions {
		all = append(all, scratch{aws.ToString(v.Key), aws.ToString(v.VersionId)})
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, scratch{aws.ToString(m.Key), aws.ToString(m.VersionId)})
	}
	return all
}

// read returns a scratch object's bytes.
func (p *prober) read(ctx context.Context, key string) (string, error) {
	body, err := p.store.Get(ctx, backend.ObjectID{Bucket: p.bucket, Key: key}, backend.GetOptions{})
	if err != nil {
		return "", err
	}
	defer body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(body)
	return b.String(), err
}
