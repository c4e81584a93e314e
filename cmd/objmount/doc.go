// Command objmount mounts object storage as a directory.
//
//	objmount mount s3://bucket /mnt
//	objmount status
//	objmount umount /mnt
//
// This package is the only place that joins things: one file per subcommand (mount.go,
// umount.go, status.go, version.go), flags and their values (options*.go, values.go), what is
// checked before anything is started (preflight.go), the life of a mount (background.go,
// daemon.go, stop.go) and wiring.go, which opens store, caches, staging and the filesystem and
// closes them in reverse.
//
// # Calling conventions
//
// Called as mount.objmount (a symlink in /sbin, for mount(8) and fstab), or with a source
// as its first argument (as mount.fuse3 does), it mounts; called as umount.objmount or
// umount.fuse.objmount it unmounts. See mount8.go.
//
// # Goroutines of a mount
//
// main's own waits for signals and for the end of the mount; one waits for the kernel (fs), one
// serves the control socket (ctl), one feeds systemd's watchdog. Each ends before run returns.
package main
