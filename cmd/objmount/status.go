package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
)

func newStatusCommand() *cobra.Command {
	var asJSON bool
	groups := single(func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "as JSON") })
	cmd := &cobra.Command{
		Use: "status [flags] [MOUNTPOINT]", Short: "show what is mounted and what is not in the store yet",
		Long: `Without MOUNTPOINT, list the mounts. With it (any path below works too), show one: what is not in
the store yet, what is kept, which promises the store cannot enforce, and how full the caches are.`,
		Example: "  objmount status\n  objmount status /mnt\n  objmount status --json /mnt",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("one argument too many: %q; usage: %s", args[1], cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			if len(args) == 0 {
				return listMounts(ctx, cmd.OutOrStdout(), asJSON)
			}
			return showMount(ctx, cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().AddFlagSet(groups[0].flags)
	setHelp(cmd, groups, "Exit codes:\n"+exitHelp())
	return cmd
}

// listed is one line of the list.
type listed struct {
	ctl.Info
	State        string `json:"state"` // mounted, draining, dead, silent, no socket, of another user
	Pending      int    `json:"pending"`
	PendingBytes int64  `json:"pending_bytes"`
	Kept         int    `json:"kept"`
	Error        string `json:"error,omitempty"`
}

// collect asks every mount, and adds those that the kernel knows but nobody answers for.
func collect(ctx context.Context) ([]listed, error) {
	mounts, err := readMounts()
	if err != nil {
		return nil, fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	out := []listed{}
	seen := map[string]bool{}
	infos := ctl.List(ctx, runtimeDirs()...)
	answers := make([]listed, len(infos))
	var asking sync.WaitGroup
	for n, i := range infos {
		seen[i.Mountpoint] = true
		asking.Go(func() { answers[n] = askOne(ctx, i) })
	}
	asking.Wait()
	out = append(out, answers...)
	for _, m := range mounts {
		if m.fsType != fsType || seen[m.dir] {
			continue
		}
		l := listed{Info: ctl.Info{Source: m.source, Mountpoint: m.dir, UID: m.uid}, State: "no socket"}
		switch euid := os.Geteuid(); {
		case euid != 0 && m.uid != uint32(euid):
			l.State = "of another user"
		case isDead(m.dir):
			l.State = "dead"
		}
		out = append(out, l)
	}
	return out, nil
}

// askOne does not wait long for one that hangs.
func askOne(ctx context.Context, i ctl.Info) listed {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := ctl.NewClient(i)
	defer c.Close()
	s, err := c.Status(ctx)
	l := listed{Info: i, State: s.State, Pending: s.PendingFiles, PendingBytes: s.PendingBytes, Kept: s.KeptFiles}
	if err != nil {
		l.State, l.Error = "silent", err.Error()
		if ctl.KindOf(err) == ctl.KindPermission {
			l.State = "of another user"
		}
	}
	return l
}

func listMounts(ctx context.Context, w io.Writer, asJSON bool) error {
	all, err := collect(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return writeIndented(w, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(os.Stderr, "nothing is mounted")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tMOUNTPOINT\tSTATE\tTO UPLOAD\tKEPT\tPID")
	for _, l := range all {
		upload, kept := uploadText(l.Pending, l.PendingBytes), strconv.Itoa(l.Kept)
		if l.State != "mounted" && l.State != "draining" {
			upload, kept = "unknown", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", shownSource(l.Source, l.At), l.Mountpoint, l.State, upload, kept, pidText(l.PID))
	}
	return t.Flush()
}

func uploadText(files int, bytes int64) string {
	if files == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, %s", plural(files, "file"), bytesText(bytes))
}

func pidText(pid int) string {
	if pid == 0 {
		return "-"
	}
	return fmt.Sprint(pid)
}

func showMount(ctx context.Context, w io.Writer, path string, asJSON bool) error {
	mounts, err := readMounts()
	if err != nil {
		return fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	infos := ctl.List(ctx, runtimeDirs()...)
	abs, err := absoluteByKernel(path)
	if err != nil {
		return err
	}
	var dir string
	var m mountEntry
	var ok bool
	_, info, found := enter(infos, abs) // of what is in the mount nothing is asked
	if !found {
		if dir, m, ok, err = findMountpoint(mounts, path); err != nil {
			return err
		}
		info, found = underMount(infos, dir)
	}
	switch {
	case !found && ok && m.fsType == fsType && isDead(dir):
		return fail(exitNoMount, "the process of %s is gone; mount it again to upload what is left, or remove it: objmount umount %s", dir, dir)
	case !found && ok && m.fsType == fsType:
		return fail(exitNoMount, "the control socket of %s is not found in %v; set XDG_RUNTIME_DIR as for the mount", dir, runtimeDirs())
	case !found:
		return fail(exitNoMount, "%s is not in a mount of objmount; objmount status lists what is mounted", path)
	}
	c := ctl.NewClient(info)
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return explainControl(info, err)
	}
	if asJSON {
		return writeIndented(w, s)
	}
	return writeStatus(w, s)
}

func writeIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeStatus is for people.
func writeStatus(w io.Writer, s ctl.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("source", "%s", shownSource(s.Mount.Source, s.Mount.At))
	row("mountpoint", "%s", s.Mount.Mountpoint)
	if len(s.Remotes) == 0 {
		row("endpoint", "%s (%s)", s.Mount.Endpoint, orDash(s.Capabilities.Vendor))
	}
	for _, r := range s.Remotes {
		state := ""
		if r.Failing != "" {
			state = ", fails: " + r.Failing
		}
		row("remote "+r.Name, "%s%s", r.Endpoint, state)
	}
	for _, n := range s.Namespaces {
		row("namespace "+n.Name, "%s", unexpiredText(n))
	}
	row("process", "%d, since %s", s.Mount.PID, s.Mount.Started.Local().Format(time.DateTime))
	row("state", "%s%s", s.State, modeText(s))
	row("to upload", "%s", uploadText(s.PendingFiles, s.PendingBytes))
	row("staged", "%s of %s in %s, in %s", bytesText(s.Staging.Bytes), limitText(s.Staging.Limit), plural(s.Staging.Files, "file"), s.Staging.Dir)
	if s.Staging.Quarantined > 0 {
		row("quarantined", "%s that were not understood are kept there", plural(s.Staging.Quarantined, "record"))
	}
	row("memory", "%s of %s for object bytes", bytesText(s.Cache.MemoryUsed), bytesText(s.Cache.MemoryLimit))
	if s.Cache.Dir != "" {
		row("disk cache", "%s of %s, in %s", bytesText(s.Cache.DiskUsed), bytesText(s.Cache.DiskLimit), s.Cache.Dir)
	}
	row("received", "%s; %s reads from caches, %s waited for the store", bytesText(s.Cache.StoreBytes), humanize.Comma(s.Cache.Hits), humanize.Comma(s.Cache.Misses))
	row("open files", "%d", s.OpenFiles)
	u := s.Usage
	row("requests", "%s of programs; to the store %s: %s reads, %s parts of %s uploads", humanize.Comma(u.Requests.Now), useText(u.StoreRequests), useText(u.Reads), useText(u.Parts), useText(u.Uploads))
	row("inodes", "%s", useText(u.Inodes))
	row("process uses", "%s goroutines, %s file descriptors", useText(u.Goroutines), useText(u.Descriptors))
	if s.ConfigFile != "" && s.Remote != "" {
		row("configuration", "remote %s of %s", s.Remote, s.ConfigFile)
	} else if s.ConfigFile != "" {
		row("configuration", "%s", s.ConfigFile)
	}
	if s.LogFile != "" {
		row("log", "%s", s.LogFile)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeLists(w, s)
}

func useText(u ctl.Use) string { return humanize.Comma(u.Now) + " of " + humanize.Comma(u.Most) }

// limitText is of a limit of which 0 says that there is none.
func limitText(bytes int64) string {
	if bytes == 0 {
		return "any amount"
	}
	return bytesText(bytes)
}

func modeText(s ctl.Status) string {
	text := ", close waits for the store"
	if s.Commit == "background" {
		text = ", close waits for the local disk"
	}
	if s.LocalFsync {
		text += ", fsync for the local disk"
	}
	if s.ReadOnly {
		text = ", read-only"
	}
	return text
}

// writeLists shows what is not as it should be, a line each.
func writeLists(w io.Writer, s ctl.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Pending) > 0 {
		fmt.Fprint(t, "\nNot in the store yet:\n")
	}
	for _, p := range s.Pending {
		fmt.Fprintf(t, "  %s\t%s of %s\t%s%s\n", p.State, bytesText(p.Done), bytesText(p.Bytes), keyText(p.Bucket, p.Key), trouble(p))
	}
	andMore(t, s.PendingFiles-len(s.Pending))
	if len(s.Kept) > 0 {
		fmt.Fprint(t, "\nKept, not uploaded by itself:\n")
	}
	for _, k := range s.Kept {
		fmt.Fprintf(t, "  %s\t%s\t%s: %s\n", k.State, bytesText(k.Size), keyText(k.Bucket, k.Key), k.Reason)
		if k.Path != "" {
			fmt.Fprintf(t, "  \t\twhat was written is in %s\n", k.Path)
		}
	}
	andMore(t, s.KeptFiles-len(s.Kept))
	if len(s.Unguarded) > 0 {
		fmt.Fprint(t, "\nNot guarded against other clients, because this store has no check for it:\n")
	}
	for _, u := range slices.Sorted(slices.Values(s.Unguarded)) {
		fmt.Fprintf(t, "  %s\n", u)
	}
	return t.Flush()
}

func andMore(w io.Writer, n int) {
	if n > 0 {
		fmt.Fprintf(w, "  and %s more\n", plural(n, "file"))
	}
}

func trouble(p ctl.Pending) string {
	if p.LastError == "" {
		return ""
	}
	text := fmt.Sprintf(" (%s failed; the last: %s", plural(p.Attempts, "attempt"), p.LastError)
	if !p.NextTry.IsZero() {
		text += "; next " + humanize.Time(p.NextTry)
	}
	return text + ")"
}

// keyText shows a key on one line, whatever bytes it has.
func keyText(bucket, key string) string {
	text := scheme + bucket + "/" + key
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f {
			return fmt.Sprintf("%q", text)
		}
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
