package staging

// DataPath names the data file: the bytes that were written, for a person who wants them back when
// they lost against another client. A file that was written from start to end lies there as it is;
// of others, written ranges lie where Extents say. It is empty when nothing is local.
func (f *File) DataPath() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.created {
		return ""
	}
	return f.data.path
}
