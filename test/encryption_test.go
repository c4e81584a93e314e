package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// keyOf is a key of SSE-C; boto3 takes it as a text of 32 bytes.
func keyOf(letter string) string { return strings.Repeat(letter, 32) }

// withKey adds the key of SSE-C to the arguments of a call of boto3; an empty one adds nothing.
func withKey(letter string, args map[string]any) map[string]any {
	if letter != "" {
		args["SSECustomerAlgorithm"], args["SSECustomerKey"] = "AES256", keyOf(letter)
	}
	return args
}

// encryptedState makes the local side of a mount with keys in files and a configuration that gives them, and SSE-S3 and
// SSE-KMS, to directories.
func encryptedState(t *testing.T, s *store) string {
	t.Helper()
	state := newState(t)
	dir := filepath.Join(state, "config", "objmount")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("default-remote = \"secure\"\n[remote.secure]\nca-bundle = %q\nendpoint-url = %q\n", s.secure.bundle(), s.endpoint)
	for _, letter := range []string{"k", "f"} {
		file := filepath.Join(dir, letter+".key")
		if err := os.WriteFile(file, []byte(keyOf(letter)), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("[[remote.secure.prefix]]\npath = \"*/%s/\"\nencryption-key-file = %q\n", letter, file)
	}
	for name, way := range map[string]string{"kms": "aws:kms:objmount-key", "aes": "AES256"} {
		config += fmt.Sprintf("[[remote.secure.prefix]]\npath = \"*/%s/\"\nencryption = %q\n", name, way)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return state
}

// encrypted is what boto3 tells of an object's encryption.
type encrypted struct {
	ServerSideEncryption string
	SSECustomerKeyMD5    string
	ContentLength        int64
	ContentType          string
	Metadata             map[string]string
}

// wantEncrypted checks with boto3 that an object has a content and is encrypted with the key of a letter, or in another way.
func (w *workspace) wantEncrypted(s *store, bucket, key string, content []byte, letter, algorithm string) {
	w.Helper()
	args := func(letter string) map[string]any {
		return withKey(letter, map[string]any{"Bucket": bucket, "Key": key})
	}
	var head encrypted
	if err := s.tryBoto("head_object", args(letter), &head); err != nil {
		w.Errorf("%s: %v", key, err)
		return
	}
	if head.ServerSideEncryption != algorithm || (head.SSECustomerKeyMD5 != "") != (letter != "") {
		w.Errorf("%s: %+v, want the key %q, %q", key, head, letter, algorithm)
	}
	var got struct {
		Body struct {
			Bytes []byte `json:"__bytes__"`
		}
	}
	s.boto(w, "get_object", args(letter), &got)
	if !bytes.Equal(got.Body.Bytes, content) {
		w.Errorf("%s: %s", key, firstDifference(got.Body.Bytes, content))
	}
	if letter != "" {
		if err := s.tryBoto("get_object", args(""), nil); err == nil || !strings.Contains(err.Error(), "stored using a form of Server Side Encryption") {
			w.Errorf("%s without the key: %v", key, err)
		}
	}
}

// TestEncryptionByPlace: what is written below a prefix is encrypted as the configuration says, and stays so whatever becomes of it.
func TestEncryptionByPlace(t *testing.T) {
	t.Parallel()
	s := openSecureStore(t, "minio")
	covers(t, s, "config.encryption")
	for name, bucket := range map[string]string{"plain": s.newBucket(t), "versioned": s.newVersionedBucket(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encryptionByPlace(t, s, bucket)
		})
	}
}

func encryptionByPlace(t *testing.T, s *store, bucket string) {
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: encryptedState(t, s)})
	w := inMount(t, m)
	data := bytesOf(1, 300_000)
	w.writeScratch("data", data, 0o644)
	w.sh(`mkdir k f kms aes
		for d in k f kms aes .; do
			cp $SRC/data $d/new
			cp $SRC/data $d/more
			echo more >> $d/more
			mkdir $d/sub
			echo $d > $d/sub/file
			chmod 700 $d/new
			cmp $d/new $SRC/data
		done
		cp --reflink=auto k/new f/copied
		cp --reflink=auto f/new copied
		cp --reflink=auto new k/copied
		cp k/new kms/copied
		mv k/sub f/moved
		mv f/sub moved
		mv sub k/moved
		mv aes/sub k/aes
		mv kms/sub/file aes/moved
		sync .`)
	m.unmount()
	more, file := append(bytes.Clone(data), "more\n"...), func(text string) []byte { return []byte(text + "\n") }
	for _, place := range []struct{ prefix, letter, algorithm string }{{"k/", "k", ""}, {"f/", "f", ""}, {"kms/", "", "aws:kms"}, {"aes/", "", "AES256"}, {"", "", ""}} {
		w.wantEncrypted(s, bucket, place.prefix+"new", data, place.letter, place.algorithm)
		w.wantEncrypted(s, bucket, place.prefix+"more", more, place.letter, place.algorithm)
	}
	w.wantEncrypted(s, bucket, "f/copied", data, "f", "")
	w.wantEncrypted(s, bucket, "copied", data, "", "")
	w.wantEncrypted(s, bucket, "k/copied", data, "k", "")
	w.wantEncrypted(s, bucket, "kms/copied", data, "", "aws:kms")
	w.wantEncrypted(s, bucket, "f/moved/file", file("k"), "f", "")
	w.wantEncrypted(s, bucket, "moved/file", file("f"), "", "")
	w.wantEncrypted(s, bucket, "k/moved/file", file("."), "k", "")
	w.wantEncrypted(s, bucket, "k/aes/file", file("aes"), "k", "")
	w.wantEncrypted(s, bucket, "aes/moved", file("kms"), "", "aws:kms") // mv keeps what belongs to the object
}

// TestEncryptedByOthers: the mount reads what others encrypted with the key of the place, or did not encrypt at all, and says
// which key does not fit.
func TestEncryptedByOthers(t *testing.T) {
	t.Parallel()
	s := openSecureStore(t, "minio")
	bucket := s.newBucket(t)
	for key, letter := range map[string]string{"k/theirs": "k", "k/clear": "", "k/other": "x", "theirs": "x"} {
		s.boto(t, "put_object", withKey(letter, map[string]any{"Bucket": bucket, "Key": key, "Body": botoBytes([]byte(key))}), nil)
	}
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: encryptedState(t, s), noisy: `op=open errno="permission denied"`})
	w := inMount(t, m)
	w.same("k/theirs", []byte("k/theirs"))
	w.same("k/clear", []byte("k/clear"))
	for _, name := range []string{"k/other", "theirs"} {
		if _, err := os.ReadFile(w.path(name)); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s, whose key is another: %v", name, err)
		}
	}
	if said := strings.Join(m.log.lines(), "\n"); !strings.Contains(said, "encrypted with another key than the key in ") || !strings.Contains(said, "k.key") {
		t.Errorf("the log does not name the key: %s", m.log.tail())
	}
	w.sh(`echo more >> k/theirs
		echo more >> k/clear
		mv k/clear k/now
		sync k`)
	w.wantEncrypted(s, bucket, "k/theirs", []byte("k/theirsmore\n"), "k", "")
	w.wantEncrypted(s, bucket, "k/now", []byte("k/clearmore\n"), "k", "")
	if got := w.xattr("k/now", "user.s3.encryption"); got != "SSE-C" {
		t.Errorf("user.s3.encryption: %q", got)
	}
	if err := unix.Setxattr(w.path("k/now"), "user.s3.encryption", []byte("AES256"), 0); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("another encryption beside the key: %v", err)
	}
	if _, err := readXattr(w.path("k/now"), "user.s3.url"); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("a URL that opens nothing: %v", err)
	}
	m.unmount()
}

// TestKeysOfVerbs: verbs have the keys with a mount and without, and who is given a signed request is given the key.
func TestKeysOfVerbs(t *testing.T) {
	t.Parallel()
	s := openSecureStore(t, "minio")
	bucket := s.newBucket(t)
	s.boto(t, "put_object", withKey("k", map[string]any{"Bucket": bucket, "Key": "k/theirs", "Body": botoBytes([]byte("text"))}), nil)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: encryptedState(t, s)})
	w := inMount(t, m)
	for name, at := range map[string]string{"mounted": "", "without a mount": "s3://" + bucket + "/"} {
		if got := m.mustCtl("object", "get", at+"k/theirs"); got != "text" {
			t.Errorf("%s: got %q", name, got)
		}
		if got := m.mustCtl("object", "stat", at+"k/theirs"); !strings.Contains(got, "SSE-C") {
			t.Errorf("%s: %s", name, got)
		}
		m.mustCtl("object", "copy", at+"k/theirs", at+"f/copied")
		m.mustCtl("object", "copy", at+"f/copied", at+"k/again")
		m.mustCtl("object", "compose", at+"f/both", at+"k/again", at+"f/copied")
		w.wantEncrypted(s, bucket, "f/copied", []byte("text"), "f", "")
		w.wantEncrypted(s, bucket, "k/again", []byte("text"), "k", "")
		w.wantEncrypted(s, bucket, "f/both", []byte("texttext"), "f", "")
		m.mustCtl("object", "copy", at+"k/theirs", at+"kms-copied", "--encryption", "aws:kms:objmount-key")
		w.wantEncrypted(s, bucket, "kms-copied", []byte("text"), "", "aws:kms")

		signed := m.ctl("presign", "get", at+"k/theirs")
		if signed.code != 0 || !strings.Contains(signed.problems, "which has to be sent") || !strings.Contains(signed.problems, "Server-Side-Encryption-Customer-Key: a2tr") || strings.Contains(signed.out, "a2tr") {
			t.Errorf("%s: %+v", name, signed)
		}
		for command, want := range map[string]string{m.mustCtl("presign", "get", "--curl", "--file", "-", at+"k/theirs"): "text", signed.out: ""} {
			run := exec.Command("bash", "-c", command)
			if want == "" {
				run = exec.Command("curl", "-sSf", strings.TrimSpace(command))
			}
			run.Env = append(os.Environ(), s.secure.environment()...)
			if got, err := run.Output(); string(got) != want || (err == nil) != (want != "") {
				t.Errorf("%s: %s: %q, %v", name, run, got, err)
			}
		}
	}
}

// TestLargeEncryptedFiles: parts that are sent and parts that are copied inside the store, from a place with another key too;
// and after a crash the upload goes on where it was.
func TestLargeEncryptedFiles(t *testing.T) {
	t.Parallel()
	s := openSecureStore(t, "minio")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, state: encryptedState(t, s), args: []string{"--commit=background"}})
	w := inMount(t, m)
	data := bytesOf(2, 40*mib)
	w.writeScratch("big", data, 0o644)
	w.sh(`mkdir k f
		cp $SRC/big k/big
		sync k/big`)
	p.take()
	f, err := os.OpenFile(w.path("k/big"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range []int64{5, 13 * mib, 27*mib + 1} {
		patch := bytesOf(uint64(10+i), 1000)
		copy(data[at:], patch)
		if _, err := f.WriteAt(patch, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got.counts["UploadPartCopy"]+got.counts["UploadPartCopy if-match"] == 0 {
		t.Errorf("nothing was copied inside the store: %v", got)
	}
	w.sh(`cp --reflink=auto k/big f/big
		sync f/big`)
	w.wantEncrypted(s, bucket, "k/big", data, "k", "")
	w.wantEncrypted(s, bucket, "f/big", data, "f", "")

	parts := 0
	hold := make(chan struct{})
	p.on(&rule{match: func(operation, _ string) bool {
		if operation == "UploadPart" {
			parts++
		}
		return operation == "UploadPart" && parts > 2
	}, hold: hold})
	w.sh(`cp $SRC/big k/again`)
	w.eventually("the part after the first that is done", func() bool { // four are on their way at once
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.counts["UploadPart"] >= 5
	})
	m.kill()
	p.clear()
	before := p.take()
	m = m.again(func(o *mountOptions) { o.noisy = "recover|interrupted" })
	m.unmount()
	after := p.take()
	w.wantEncrypted(s, bucket, "k/again", bytesOf(2, 40*mib), "k", "")
	if before.counts["CreateMultipartUpload"] != 1 || after.counts["CreateMultipartUpload"] != 0 || after.counts["ListParts"] == 0 {
		t.Errorf("the upload began again: before %v, after %v", before, after)
	}
}

// TestEncryptionThatIsFeigned: a store that takes keys and encrypts nothing gets no data, and the program is told.
func TestEncryptionThatIsFeigned(t *testing.T) {
	t.Parallel()
	s := openSecureStore(t, "versitygw")
	bucket := s.newBucket(t)
	s.put(t, bucket, "k/", nil)
	s.put(t, bucket, "k/before", []byte("before"))
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: encryptedState(t, s), noisy: "."})
	w := inMount(t, m)
	w.sh(`echo clear > clear
		sync clear`)
	w.same("k/before", []byte("before"))
	if err := os.Mkdir(w.path("f"), 0o755); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("a directory, which is an object: %v", err)
	}
	if err := os.WriteFile(w.path("k/new"), []byte("secret"), 0o644); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("a file: %v", err)
	}
	if err := os.Rename(w.path("clear"), w.path("k/clear")); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("a file that comes from elsewhere: %v", err)
	}
	if got := s.snapshot(t, bucket, ""); len(got) != 3 {
		t.Errorf("the store has %v", got)
	}
	w.sh(`rm k/new`) // it would be tried again
}
