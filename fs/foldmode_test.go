package fs

import "os"

// With OBJMOUNT_TEST_FOLD set, every test of this package runs with nodes that are folded whenever they can be.
func init() { foldAtOnce = os.Getenv("OBJMOUNT_TEST_FOLD") != "" }
