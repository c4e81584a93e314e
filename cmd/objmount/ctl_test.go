package main

import "github.com/objmount/objmount/ctl"

// Verbs is for the mounts that only umount is tested with.
func (m *fakeMount) Verbs() *ctl.Verbs { return nil }
