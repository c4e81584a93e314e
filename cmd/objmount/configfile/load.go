package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFile is how many bytes a configuration file may have.
const maxFile = 1 << 20

// Load reads a file and checks it, and the files of keys that it names. An error is an Errors with everything that is wrong;
// it is fs.ErrNotExist when the file itself is missing.
func Load(path string, flags Flags) (*File, error) {
	d := &decoder{path: path, flags: flags}
	data, mode, err := readFile(path)
	if err != nil {
		return nil, Errors{{Path: path, Text: err.Error(), Err: errors.Unwrap(err)}}
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, Errors{{Path: path, Text: fmt.Sprintf("cannot be used: %v; give its absolute path", err), Err: err}}
	}
	d.mode = mode
	d.file = &File{Path: absolute}
	d.data = bytes.TrimPrefix(data, []byte("\ufeff"))
	d.starts = lineStarts(d.data)
	if top := d.parse(); top != nil {
		d.decode(top)
	}
	if len(d.errs) > 0 {
		d.errs.sort()
		return nil, d.errs
	}
	return d.file, nil
}

// readFile reads the configuration file and tells its mode. Errors say what to do; they wrap why.
func readFile(path string) ([]byte, fs.FileMode, error) {
	f, info, err := openPlain(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if err := safeFromOthers(info, os.Geteuid()); err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("cannot be read: %w", err)
	case len(data) > maxFile:
		return nil, 0, errors.New("has more than 1 MiB, which no configuration file needs; is it the right file?")
	}
	return data, info.Mode().Perm(), nil
}

// openPlain opens a regular file, and does not wait for the other end of a pipe.
func openPlain(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, cannotOpen(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = cannotOpen(err)
	case info.IsDir():
		err = errors.New("is a directory; name a file in it")
	case !info.Mode().IsRegular():
		err = errors.New("is not a regular file; write it to a file first")
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// missing is a file that is not there, in fewer words than the system's.
type missing struct{ error }

func (missing) Error() string { return "there is no such file" }

func (m missing) Unwrap() error { return m.error }

func cannotOpen(err error) error {
	why := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing{why}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot be read by this user (%w); become its owner, or take another file", why)
	}
	return fmt.Errorf("cannot be read: %w", why)
}

// safeFromOthers refuses a file by which somebody else could send root's data elsewhere.
func safeFromOthers(info fs.FileInfo, uid int) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if uid != 0 || !ok {
		return nil
	}
	if mode := info.Mode().Perm(); mode&0o002 != 0 || mode&0o020 != 0 && st.Gid != 0 {
		return fmt.Errorf("can be written by other users (mode %04o), who could send root's data elsewhere; chmod go-w it", mode)
	}
	return nil
}
