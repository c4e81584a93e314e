package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCallingConventions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args, words  []string
		sloppy, fake bool
	}{
		{[]string{"objmount", "status"}, []string{"status"}, false, false},
		{[]string{"objmount", "s3://b", "/mnt", "-o", "ro"}, []string{"mount", "s3://b", "/mnt", "-o", "ro"}, false, false},
		{[]string{"/sbin/mount.objmount", "s3://b", "/mnt", "-o", "rw,ro"}, []string{"mount", "-o", "rw,ro", "--", "s3://b", "/mnt"}, false, false},
		{[]string{"mount.objmount", "-sfnv", "s3://b", "/mnt"}, []string{"mount", "--", "s3://b", "/mnt"}, true, true},
		{[]string{"mount.objmount", "-rw", "-t", "fuse.objmount", "s3://b", "-oro", "/mnt"}, []string{"mount", "-o", "ro", "-o", "ro", "--", "s3://b", "/mnt"}, false, false},
		{[]string{"mount.objmount", "-no", "uid=1", "s3://b", "/mnt"}, []string{"mount", "-o", "uid=1", "--", "s3://b", "/mnt"}, false, false},
		{[]string{"umount.fuse.objmount", "/mnt", "-n", "-t", "fuse.objmount"}, []string{"umount", "--", "/mnt"}, false, false},
		{[]string{"umount.objmount", "-l", "/mnt"}, []string{"umount", "--lazy", "--", "/mnt"}, false, false},
		{[]string{"umount.objmount", "-N", "7", "-tfuse", "/mnt"}, []string{"umount", "--", "/mnt"}, false, false},
	} {
		inv, err := readInvocation(test.args)
		if err != nil {
			t.Errorf("%v: %v", test.args, err)
			continue
		}
		if diff := cmp.Diff(test.words, inv.words); diff != "" || inv.sloppy != test.sloppy || inv.fake != test.fake {
			t.Errorf("%v: sloppy %v, fake %v\n%s", test.args, inv.sloppy, inv.fake, diff)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	seen := map[exitCode]bool{}
	for _, m := range exitMeanings {
		if seen[m.code] || m.meaning == "" {
			t.Errorf("exit code %d is there twice or means nothing", m.code)
		}
		seen[m.code] = true
		want := 32
		switch m.code {
		case exitOK:
			want = 0
		case exitUsage:
			want = 1
		case exitInterrupted:
			want = 8
		}
		if got := mount8Code(m.code); got != want {
			t.Errorf("exit code %d is %d for mount(8), want %d", m.code, got, want)
		}
	}
	// The numbers are a promise to scripts: they are written here a second time.
	for code, number := range map[exitCode]int{
		exitOK: 0, exitFailed: 1, exitUsage: 2, exitNoBucket: 3, exitCredentials: 4, exitUnreachable: 5, exitMountpoint: 6, exitNoFUSE: 7,
		exitPending: 8, exitNoMount: 9, exitBusy: 10, exitLocal: 11, exitInterrupted: 130,
	} {
		if int(code) != number || !seen[code] {
			t.Errorf("exit code %d must be %d and in the help", code, number)
		}
	}
}
