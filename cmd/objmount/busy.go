package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	mostUsers  = 5
	lookAtUser = 100 * time.Millisecond // at one process
	lookAtAll  = 2 * time.Second
)

// usersOf names up to a few processes that hold a mount: by a working directory, an open file or
// a program below dir. Processes of others may stay unseen, and so does one that is in the middle
// of execve: the kernel does not answer for it, which may be because it waits for this very mount.
func usersOf(dir string) []string {
	var out []string
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	end := time.Now().Add(lookAtAll)
	for _, proc := range procs {
		if len(out) == mostUsers || time.Now().After(end) {
			return append(out, "...")
		}
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() {
			continue
		}
		answer := make(chan string, 1)
		go func() { answer <- userName(proc, dir) }()
		select {
		case name := <-answer:
			if name != "" {
				out = append(out, fmt.Sprintf("%s (pid %d)", name, pid))
			}
		case <-time.After(lookAtUser): // left behind until the kernel answers
		}
	}
	return out
}

// userName is the name of a process that uses dir, "" of others.
func userName(proc, dir string) string {
	if !uses(proc, dir) {
		return ""
	}
	name, err := os.ReadFile(proc + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

func uses(proc, dir string) bool {
	inside := func(link string) bool {
		path, err := os.Readlink(link)
		return err == nil && (path == dir || strings.HasPrefix(path, dir+"/"))
	}
	if slices.ContainsFunc([]string{"/cwd", "/root", "/exe"}, func(l string) bool { return inside(proc + l) }) {
		return true
	}
	fds, err := os.ReadDir(proc + "/fd")
	return err == nil && slices.ContainsFunc(fds, func(e os.DirEntry) bool { return inside(proc + "/fd/" + e.Name()) })
}
