package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// usersOf names up to a few processes that hold a mount: by a working directory, an open file or
// a program below dir. Processes of others may stay unseen.
func usersOf(dir string) []string {
	var out []string
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	const most = 5
	for _, proc := range procs {
		if len(out) == most {
			return append(out, "...")
		}
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() || !uses(proc, dir) {
			continue
		}
		name, err := os.ReadFile(proc + "/comm")
		if err != nil {
			continue
		}
		out = append(out, fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid))
	}
	return out
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
