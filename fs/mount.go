package fs

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// MountOptions are what the kernel is told.
type MountOptions struct {
	FSName     string // shown as the source in /proc/mounts
	AllowOther bool
	NoExec     bool // no program on it can be started
	Debug      bool // log every request
}

// Mount is a filesystem at its mountpoint.
type Mount struct {
	dir    string
	server *fuse.Server
	served sync.WaitGroup
}

const (
	maxRequest  = 1 << 20 // bytes of one READ or WRITE
	readAheadKB = 4096    // of the mount's backing device, where we may set it

	// MaxBackground is how many requests the kernel sends that no program waits for: read-ahead, written pages, asynchronous I/O.
	// Of those that programs wait for there is one per thread. go-fuse could leave more of them in the kernel's
	// queue, but with them the interrupts, and the closing of files, that may be what ends those that it has.
	MaxBackground = 256
)

// Mount attaches the filesystem and returns once the kernel has answered. Requests are served
// until Unmount, or until somebody else unmounts it.
func (f *FS) Mount(dir string, o MountOptions) (*Mount, error) {
	options := &fuse.MountOptions{
		Name: "objmount", FsName: o.FSName, AllowOther: o.AllowOther, Debug: o.Debug,
		Options:  []string{"default_permissions"},
		MaxWrite: maxRequest, MaxBackground: MaxBackground, CongestionThreshold: MaxBackground * 3 / 4,
		MaxReadAhead: readAheadKB << 10, DisableSplice: true, ExplicitDataCacheControl: true,
		DirectMountStrict:    os.Geteuid() == 0, // the kernel's own answer; fusermount3 can do no more for root
		EnableSymlinkCaching: true,
		MaxStackDepth:        2, // the disk tier may lie on an overlay
		ExtraCapabilities:    fuse.CAP_READDIRPLUS_AUTO | fuse.CAP_ATOMIC_O_TRUNC,
		PanicHandler: func(reason any) fuse.Status {
			f.log.Error("panic in a request", slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
			return fuse.EIO
		},
	}
	if f.cfg.ReadOnly {
		options.Options = append(options.Options, "ro")
	}
	if o.NoExec {
		options.Options = append(options.Options, "noexec")
	}
	server, err := fuse.NewServer(f, dir, options)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	m := &Mount{dir: dir, server: server}
	f.server.Store(server)
	if f.cfg.MaxInodes > 0 {
		f.tree.bound(f.cfg.MaxInodes)
		f.notices.Go(f.prune)
	}
	m.served.Add(1)
	go func() {
		defer m.served.Done()
		server.Serve()
	}()
	if err := server.WaitMount(); err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	if err := raiseReadAhead(dir); err != nil {
		f.log.Debug("read-ahead of the mount stays at the kernel's default", slog.String("reason", err.Error()))
	}
	f.passthrough.Store(f.probePassthrough())
	if f.cfg.Bucket != "" {
		// Asked now, so that no first stat has to; a failure is met again there.
		if _, err := f.keeping(f.ctx, f.tree.root()); err != nil {
			f.log.Debug("marker of the root", slog.String("error", err.Error()))
		}
	}
	return m, nil
}

// probePassthrough registers a file once: the kernel offers passthrough also to those who may not use it.
func (f *FS) probePassthrough() bool {
	server := f.server.Load()
	if server.KernelSettings().Flags64()&fuse.CAP_PASSTHROUGH == 0 {
		return false
	}
	file, err := os.CreateTemp("", "objmount-passthrough-")
	if err != nil {
		return false
	}
	defer file.Close()
	defer os.Remove(file.Name())
	id, errno := f.registerBacking(file)
	if errno != 0 {
		return false
	}
	server.UnregisterBackingFd(id)
	return true
}

// raiseReadAhead sets the kernel's read-ahead of this mount; 128 KiB is its default. Root only.
func raiseReadAhead(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return err
	}
	path := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
	return os.WriteFile(path, []byte(strconv.Itoa(readAheadKB)), 0)
}

// Wait returns when the filesystem is not mounted any more.
func (m *Mount) Wait() { m.served.Wait() }

// Unmount detaches the filesystem; it fails while a program uses it.
func (m *Mount) Unmount() error {
	if err := m.server.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	m.served.Wait()
	return nil
}
