package fs

import (
	"reflect"

	"github.com/objmount/objmount/cache/staging"
)

// describe gives a file that begins to go up while it is still written the properties that its commit will
// have, as far as they are known by now: a multipart upload has them from its beginning, and others later
// cost a copy of the object onto itself. Write-back calls it without locks.
func (f *FS) describe(file *staging.File) {
	n := f.staged.node(file)
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.staged != file || n.doomed || !changed(file) {
		return
	}
	props := f.propertiesLocked(n)
	if reflect.DeepEqual(props, file.Spec().Properties) {
		return
	}
	if err := file.SetProperties(props); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
}
