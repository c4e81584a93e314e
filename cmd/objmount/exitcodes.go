package main

import (
	"fmt"
	"strings"
)

// exitCode is what the process tells its caller. A number is never given a second meaning.
type exitCode int

const (
	exitOK          exitCode = 0
	exitFailed      exitCode = 1
	exitUsage       exitCode = 2
	exitNoBucket    exitCode = 3
	exitCredentials exitCode = 4
	exitUnreachable exitCode = 5
	exitMountpoint  exitCode = 6
	exitNoFUSE      exitCode = 7
	exitPending     exitCode = 8
	exitNoMount     exitCode = 9
	exitBusy        exitCode = 10
	exitLocal       exitCode = 11
	exitPartial     exitCode = 12
	exitUnsupported exitCode = 13
	exitInterrupted exitCode = 130
)

// exitMeanings has one sentence for each code, in order: of the mount's commands, and of those of ctl, where it
// is empty for what they never tell.
var exitMeanings = []struct {
	code    exitCode
	meaning string
	ofCtl   string
}{
	{exitOK, "success: the mount answers, or everything that was asked for is done", "done, also when there was nothing to do"},
	{exitFailed, "any other failure", "no such file or version, or any other failure"},
	{exitUsage, "wrong flags, options, arguments or configuration", "wrong flags or arguments, or the store refuses the request as such"},
	{exitNoBucket, "no such bucket", "no such bucket"},
	{exitCredentials, "credentials are missing, wrong, or not allowed to do this", "the credentials may not, or retention, a legal hold or a limit of the bucket forbids it"},
	{exitUnreachable, "the endpoint cannot be reached, or fails", "the store cannot be reached, or fails"},
	{exitMountpoint, "the mountpoint is missing, no directory, not empty, or in use", ""},
	{exitNoFUSE, "FUSE is missing or not allowed", ""},
	{exitPending, "uploads were left for the next mount", ""},
	{exitNoMount, "the path is no mount of objmount", "the path is in no mount"},
	{exitBusy, "programs use the mount", "a program is writing the file"},
	{exitLocal, "the local disk's part (state, cache, log, socket) cannot be used", ""},
	{exitPartial, "a part could not be done; each is reported", "a part could not be done; each is reported"},
	{exitUnsupported, "the store cannot do this", "the store, or the bucket, does not have this"},
	{exitInterrupted, "interrupted; what was mounted stays mounted", "interrupted"},
}

// exitHelp is the paragraph of the help of commands that mount, unmount and look at mounts.
func exitHelp() string {
	var b strings.Builder
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "  %3d  %s\n", m.code, m.meaning)
	}
	return b.String()
}

// ctlExitHelp is that of ctl.
func ctlExitHelp() string {
	var b strings.Builder
	for _, m := range exitMeanings {
		if m.ofCtl != "" {
			fmt.Fprintf(&b, "  %3d  %s\n", m.code, m.ofCtl)
		}
	}
	return b.String()
}

// failure is an error with its exit code and a line for the user: what, where, why, what to do.
type failure struct {
	code exitCode
	text string
}

func (f *failure) Error() string { return f.text }

// fail makes a failure. Line breaks become spaces: an error is one line.
func fail(code exitCode, format string, args ...any) error {
	return &failure{code, strings.NewReplacer("\n", " ", "\r", " ").Replace(strings.TrimSpace(fmt.Sprintf(format, args...)))}
}

// usage is a failure of the command line.
func usage(format string, args ...any) error { return fail(exitUsage, format, args...) }
