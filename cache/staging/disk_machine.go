//go:build !crashpoints

package staging

// machineDisk is the disk of an Area that was given none.
func machineDisk() Disk { return newOSDisk() }
