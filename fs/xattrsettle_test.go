package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
)

// keyless is a store that does not have one key, and one class.
type keyless struct {
	backend.Store
	kind backend.Kind
}

func (s keyless) refuses(p *backend.Properties) error {
	if p != nil && (p.Encryption.KMSKeyID == "nokey" || p.StorageClass == "NOCLASS") {
		return &backend.Error{Kind: s.kind, Op: "Put", Code: "kms:KeyNotFound", Status: 404}
	}
	return nil
}

func (s keyless) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	if err := s.refuses(&in.Properties); err != nil {
		return backend.Object{}, err
	}
	return s.Store.Put(ctx, in)
}

func (s keyless) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if err := s.refuses(in.Replace); err != nil {
		return backend.Object{}, err
	}
	return s.Store.Copy(ctx, in)
}

func keylessMount(t *testing.T, kind backend.Kind, o testOptions) *testMount {
	o.wrap = func(s backend.Store) backend.Store { return keyless{s, kind} }
	return newTestMount(t, o)
}

var noKeys = map[string]string{"user.s3.encryption": "aws:kms:nokey", "user.s3.storage-class": "NOCLASS"}

// A key or a class that the store does not have is setxattr's error, and takes nothing along that was set before or after it.
func TestRefusedKeyOfAStoredObject(t *testing.T) {
	t.Parallel()
	for name, value := range noKeys {
		for kind, want := range map[backend.Kind]error{backend.KindInvalid: unix.EINVAL, backend.KindUnsupported: unix.EOPNOTSUPP} {
			for _, commit := range []CommitMode{CommitClose, CommitBackground} {
				m := keylessMount(t, kind, testOptions{posix: PosixOn, commit: commit})
				m.putWith("f", "data", backend.Properties{StorageClass: "STANDARD_IA", Encryption: backend.Encryption{Algorithm: "AES256"}})
				setXattr(t, m.path("f"), "user.foo", "precious")
				check(t, os.Chmod(m.path("f"), 0o600))
				if err := unix.Setxattr(m.path("f"), name, []byte(value), 0); !errors.Is(err, want) {
					t.Errorf("%s, %v: %v, want %v", name, kind, err, want)
				}
				if _, obj := m.object("f"); obj.Metadata["xattr-foo"] != "precious" {
					t.Errorf("%s, %v: what was pending is to be stored before: %v", name, kind, obj.Metadata)
				}
				if got := getXattr(t, m.path("f"), name); got == value {
					t.Errorf("%s is still %q", name, got)
				}
				setXattr(t, m.path("f"), "user.bar", "too")
				file, err := os.Open(m.path("f"))
				check(t, err)
				check(t, file.Sync())
				check(t, file.Close())
				data, obj := m.object("f")
				if string(data) != "data" || obj.Metadata["xattr-foo"] != "precious" || obj.Metadata["xattr-bar"] != "too" ||
					obj.StorageClass != "STANDARD_IA" || obj.Encryption.Algorithm != "AES256" {
					t.Errorf("%s, %v: stored %q %+v", name, kind, data, obj)
				}
				info, err := os.Stat(m.path("f"))
				check(t, err)
				if status := m.fs.Status(); info.Mode() != 0o600 || len(status.Kept) != 0 || len(m.fs.queue.Pending()) != 0 {
					t.Errorf("%v, kept %+v, pending %+v", info.Mode(), status.Kept, m.fs.queue.Pending())
				}
				m.unmount()
			}
		}
	}
}

// A refused change that was the only one leaves the object as it is, and nothing staged.
func TestRefusedKeyAlone(t *testing.T) {
	t.Parallel()
	for _, posix := range []PosixMode{PosixOff, PosixAuto, PosixOn} {
		m := keylessMount(t, backend.KindInvalid, testOptions{posix: posix})
		m.put("f", []byte("data"))
		_, before := m.object("f")
		for name, value := range noKeys {
			if err := unix.Setxattr(m.path("f"), name, []byte(value), 0); !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s: %v", name, err)
			}
			n := m.nodeOf("f")
			n.rlock()
			if n.staged != nil || n.failure != nil {
				t.Errorf("%s: staged %v, failure %v", name, n.staged, n.failure)
			}
			n.runlock()
		}
		if _, err := tryXattr(m.path("f"), "user.s3.encryption"); !errors.Is(err, unix.ENODATA) {
			t.Errorf("encryption: %v", err)
		}
		if _, after := m.object("f"); after.ETag != before.ETag || !after.LastModified.Equal(before.LastModified) || len(after.Metadata) != len(before.Metadata) {
			t.Errorf("%+v became %+v", before, after)
		}
		if pending, kept := m.fs.queue.Pending(), m.fs.Status().Kept; len(pending)+len(kept) != 0 {
			t.Errorf("pending %+v, kept %+v", pending, kept)
		}
	}
}

// What the store takes is stored when setxattr returns.
func TestClassIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	m := keylessMount(t, backend.KindInvalid, testOptions{posix: PosixOff})
	m.put("f", []byte("data"))
	setXattr(t, m.path("f"), "user.foo", "1")
	setXattr(t, m.path("f"), "user.s3.storage-class", "STANDARD_IA")
	setXattr(t, m.path("f"), "user.s3.encryption", "aws:kms:key")
	_, obj := m.object("f")
	if obj.StorageClass != "STANDARD_IA" || obj.Encryption.KMSKeyID != "key" || obj.Metadata["xattr-foo"] != "1" {
		t.Errorf("stored %+v", obj)
	}
}

// Of a file that is written the refusal is close's error. The name shows what was written, and another value, or none, lets
// the next fsync store it.
func TestRefusedKeyOfAStagedFile(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		for name, value := range noKeys {
			for mend, good := range map[string]string{"other": map[string]string{"user.s3.encryption": "AES256", "user.s3.storage-class": "STANDARD_IA"}[name], "none": ""} {
				t.Run(fmt.Sprintf("%s, old %v, %s", name, old, mend), func(t *testing.T) {
					t.Parallel()
					m := keylessMount(t, backend.KindInvalid, testOptions{posix: PosixOff})
					if old {
						m.put("f", []byte("old"))
					}
					file, err := os.Create(m.path("f"))
					check(t, err)
					_, err = file.WriteString("written")
					check(t, err)
					setXattr(t, m.path("f"), name, value)
					if err := file.Close(); !errors.Is(err, syscall.EINVAL) {
						t.Errorf("close: %v", err)
					}
					if data, err := os.ReadFile(m.path("f")); err != nil || string(data) != "written" {
						t.Errorf("shown: %q, %v", data, err)
					}
					if mend == "none" {
						check(t, unix.Removexattr(m.path("f"), name))
					} else {
						setXattr(t, m.path("f"), name, good)
					}
					file, err = os.Open(m.path("f"))
					check(t, err)
					if err := file.Sync(); err != nil {
						t.Errorf("fsync: %v", err)
					}
					check(t, file.Close())
					data, obj := m.object("f")
					if string(data) != "written" || obj.Encryption.KMSKeyID != "" || name == "user.s3.storage-class" && obj.StorageClass != good {
						t.Errorf("stored %q %+v", data, obj)
					}
				})
			}
		}
	}
}
