package test

import (
	"fmt"
	"os"
	"testing"
)

// tell adds what a test did to the table of the soak command; elsewhere it does nothing.
func tell(t testing.TB, rounds, operations, faults int) {
	t.Helper()
	name := os.Getenv("OBJMOUNT_TEST_REPORT")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, `{"rounds":%d,"operations":%d,"faults":%d}`+"\n", rounds, operations, faults); err != nil {
		t.Fatal(err)
	}
}
