package packaging

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// units copies the units into a directory as systemd would see them: a template with an instance,
// a binary that exists.
func units(t *testing.T) []string {
	t.Helper()
	binary, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	var out []string
	for from, to := range map[string]string{
		"objmount@.service": "objmount@test.service", "mnt-bucket.mount": "mnt-bucket.mount", "mnt-bucket.automount": "mnt-bucket.automount",
	} {
		text, err := os.ReadFile(filepath.Join("systemd", from))
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(dir, to)
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/objmount", binary)), 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, to)
	}
	return out
}

// analyze returns what systemd-analyze verify says, which is nothing when all is well: its exit
// status does not tell.
func analyze(t *testing.T, files ...string) string {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here; TestUnitKeys checks the keys")
	}
	cmd := exec.Command(program, append([]string{"verify", "--man=no"}, files...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=warning", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("systemd-analyze: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func TestSystemdVerifies(t *testing.T) {
	t.Parallel()
	if out := analyze(t, units(t)...); out != "" {
		t.Error(out)
	}
}

// TestSystemdWouldComplain makes sure that silence means something.
func TestSystemdWouldComplain(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "wrong.service")
	if err := os.WriteFile(name, []byte("[Service]\nType=notify\nExecStart=/bin/true\nNoSuchKey=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := analyze(t, name); !strings.Contains(out, "NoSuchKey") {
		t.Errorf("it said %q", out)
	}
}

// knownKeys are what the units use, checked against systemd's manual once; a key that is not
// here is a slip or needs to be looked up.
var knownKeys = map[string][]string{
	"Unit": {"Description", "Wants", "After", "StartLimitIntervalSec"},
	"Service": {
		"Type", "EnvironmentFile", "Environment", "ExecStart", "ExecStop", "ExecReload", "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec",
		"Restart", "RestartSec", "SuccessExitStatus", "RestartPreventExitStatus", "StateDirectory", "CacheDirectory", "RuntimeDirectory",
		"RuntimeDirectoryPreserve", "StateDirectoryMode", "CacheDirectoryMode", "UMask", "LimitNOFILE", "LimitCORE", "CapabilityBoundingSet", "NoNewPrivileges",
		"DevicePolicy", "DeviceAllow", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
		"MemoryDenyWriteExecute", "KeyringMode", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber",
	},
	"Mount":     {"What", "Where", "Type", "Options", "TimeoutSec"},
	"Automount": {"Where"},
	"Install":   {"WantedBy"},
}

// namespaceKeys would hide the mount from everybody else.
var namespaceKeys = []string{
	"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
	"ProtectControlGroups", "ProtectProc", "ProcSubset", "PrivateMounts", "DynamicUser", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths",
	"BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "RootDirectory", "RootImage", "MountFlags", "PrivateUsers", "ProtectHostname",
}

// settings reads the keys of a unit: "Section.Key" and values.
func settings(t *testing.T, name string) map[string][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]string{}
	section := ""
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Errorf("%s:%d: no assignment: %s", name, n, line)
			}
			if !slices.Contains(knownKeys[section], key) {
				t.Errorf("%s:%d: section %s has no key %s that we know", name, n, section, key)
			}
			out[section+"."+key] = append(out[section+"."+key], value)
		}
	}
	return out
}

func TestUnitKeys(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("systemd/*")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		s := settings(t, name)
		for _, key := range namespaceKeys {
			if s["Service."+key] != nil {
				t.Errorf("%s: %s gives the service a mount namespace; its mount would be seen by nobody", name, key)
			}
		}
	}
	s := settings(t, "systemd/objmount@.service")
	for key, want := range map[string]string{"Service.Type": "notify", "Service.RuntimeDirectoryPreserve": "yes", "Service.DeviceAllow": "/dev/fuse rw"} {
		if !slices.Equal(s[key], []string{want}) {
			t.Errorf("%s is %v, want %s", key, s[key], want)
		}
	}
	if start := s["Service.ExecStart"]; len(start) != 1 || !strings.Contains(start[0], " mount --foreground ") {
		t.Errorf("ExecStart is %v", start)
	}
	if stop := s["Service.ExecStop"]; len(stop) != 1 || !strings.Contains(stop[0], " umount ") {
		t.Errorf("ExecStop is %v", stop)
	}
}

// TestMountUnitName: systemd ignores a mount unit whose name is not its path.
func TestMountUnitName(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"mount", "automount"} {
		name := "systemd/mnt-bucket." + section
		s := settings(t, name)
		where := s[strings.ToUpper(section[:1])+section[1:]+".Where"]
		if len(where) != 1 || strings.ReplaceAll(strings.Trim(where[0], "/"), "/", "-")+"."+section != filepath.Base(name) {
			t.Errorf("%s mounts at %v", name, where)
		}
	}
}

func TestFstabLines(t *testing.T) {
	t.Parallel()
	f, err := os.Open("fstab.example")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	in := bufio.NewScanner(f)
	for in.Scan() {
		if line := in.Text(); line != "" && !strings.HasPrefix(line, "#") {
			lines++
			fields := strings.Fields(line)
			if len(fields) != 6 || !strings.HasPrefix(fields[0], "s3://") && !strings.HasPrefix(fields[0], "minio:") || fields[2] != "objmount" || !strings.Contains(fields[3], "_netdev") {
				t.Errorf("no good line: %s", line)
			}
		}
	}
	if lines == 0 {
		t.Error("no line")
	}
	findmnt, err := exec.LookPath("findmnt")
	if err != nil {
		return
	}
	out, err := exec.Command(findmnt, "--tab-file", "fstab.example", "--noheadings", "--list", "--output", "FSTYPE").CombinedOutput()
	if err != nil || strings.Count(string(out), "objmount") != lines {
		t.Errorf("findmnt reads %s (%v)", out, err)
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	dest := t.TempDir()
	binary := filepath.Join(t.TempDir(), "objmount")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./install.sh", binary)
	cmd.Env = append(os.Environ(), "DESTDIR="+dest, "PREFIX=/opt/objmount", "SBINDIR=/sbin", "SYSTEMD=/lib/systemd/system")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"mount.objmount", "mount.fuse.objmount", "umount.objmount", "umount.fuse.objmount"} {
		if to, err := os.Readlink(filepath.Join(dest, "sbin", name)); err != nil || to != "/opt/objmount/bin/objmount" {
			t.Errorf("%s points to %q (%v)", name, to, err)
		}
	}
	st, err := os.Stat(filepath.Join(dest, "opt/objmount/bin/objmount"))
	if err != nil || st.Mode().Perm() != 0o755 {
		t.Error(st, err)
	}
	unit, err := os.ReadFile(filepath.Join(dest, "lib/systemd/system/objmount@.service"))
	if err != nil || strings.Contains(string(unit), "/usr/local") || !strings.Contains(string(unit), "ExecStart=/opt/objmount/bin/objmount mount") {
		t.Errorf("the unit names another binary (%v):\n%s", err, unit)
	}
	for _, name := range []string{"config.toml.example", "fstab.example", "objmount.env.example", "mnt-bucket.mount", "mnt-bucket.automount"} {
		if _, err := os.Stat(filepath.Join(dest, "opt/objmount/share/doc/objmount", name)); err != nil {
			t.Error(err)
		}
	}
}
