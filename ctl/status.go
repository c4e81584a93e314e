package ctl

import (
	"time"

	"github.com/objmount/objmount/backend"
)

// MaxListed bounds the lists in a Status.
const MaxListed = 1000

// Status is what a mount says about itself. Sizes are in bytes.
type Status struct {
	Mount        Info                 `json:"mount"`
	ReadOnly     bool                 `json:"read_only"`
	Commit       string               `json:"commit"`               // "close" or "background"
	LocalFsync   bool                 `json:"local_fsync"`          // fsync promises the local disk only
	State        string               `json:"state"`                // "mounted", "draining" (unmounted, uploads go on)
	Capabilities backend.Capabilities `json:"capabilities"`         // of the bucket; of none for "every bucket"
	Remotes      []Remote             `json:"remotes,omitempty"`    // of a mount of several
	Namespaces   []NamespaceState     `json:"namespaces,omitempty"` // that do not expire as configured
	Unguarded    []string             `json:"unguarded"`            // promises that the store cannot enforce, in words
	Pending      []Pending            `json:"pending"`              // not in the store yet; the first MaxListed
	PendingFiles int                  `json:"pending_files"`        // how many in all
	PendingBytes int64                `json:"pending_bytes"`        // of all, not sent yet
	Kept         []Kept               `json:"kept"`                 // will not be uploaded by itself; the first MaxListed
	KeptFiles    int                  `json:"kept_files"`           // how many in all
	Staging      Staging              `json:"staging"`
	Usage        Usage                `json:"usage"`
	OpenFiles    int                  `json:"open_files"`
	Inodes       int                  `json:"inodes"`
	Passthrough  bool                 `json:"passthrough"` // complete cached files are read without this process
	Cache        Cache                `json:"cache"`
	LogFile      string               `json:"log_file,omitempty"` // empty: standard error
	ConfigFile   string               `json:"config_file,omitempty"`
	Remote       string               `json:"remote,omitempty"` // of the configuration file, that the mount is of
}

// Remote is one of several stores that a mount shows.
type Remote struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Failing  string `json:"failing,omitempty"` // why its last request failed, while it cannot be reached or its credentials cannot be used; empty: it works, as far as is known
}

// Pending is one file whose content is not in the store yet.
type Pending struct {
	ID        string    `json:"id"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	State     string    `json:"state"`
	Bytes     int64     `json:"bytes"`
	Done      int64     `json:"done"` // sent already
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
	NextTry   time.Time `json:"next_try,omitzero"`
	Since     time.Time `json:"since,omitzero"`
}

// Kept is data that lost against another client, or that no program finished.
type Kept struct {
	ID     string `json:"id"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	State  string `json:"state"` // "conflict", "interrupted"
	Size   int64  `json:"size"`
	Reason string `json:"reason"`
	Path   string `json:"path,omitempty"` // the local file with the bytes that were written
}

// Staging is how full the local disk's share is.
type Staging struct {
	Dir         string `json:"dir"`
	Bytes       int64  `json:"bytes"`
	Limit       int64  `json:"limit"` // 0: none
	Files       int    `json:"files"`
	Quarantined int    `json:"quarantined"` // records and files that were not understood
}

// Cache is what the block cache did since the mount began, and how full it is.
type Cache struct {
	Dir         string `json:"dir,omitempty"` // empty: memory only
	Hits        int64  `json:"hits"`
	Misses      int64  `json:"misses"`
	StoreBytes  int64  `json:"store_bytes"` // received from the store
	Requests    int64  `json:"requests"`    // GETs of objects' bytes sent
	Corrupt     int64  `json:"corrupt"`     // checksums that were wrong, of the store's bytes and of the disk's
	Unsaved     int64  `json:"unsaved"`     // bytes not written to the disk because it was too slow or full
	MemoryUsed  int64  `json:"memory_used"`
	MemoryLimit int64  `json:"memory_limit"`
	DiskUsed    int64  `json:"disk_used"`
	DiskLimit   int64  `json:"disk_limit"`
}

// Usage is what the process uses of what it has only so much of. Memory, staging and the disk cache are in Cache and Staging.
type Usage struct {
	Goroutines    Use `json:"goroutines"`     // Most grows with the requests of programs that wait, and the files that are staged
	Descriptors   Use `json:"descriptors"`    // open files and connections of the process; Most is its RLIMIT_NOFILE
	Requests      Use `json:"requests"`       // of the kernel that the mount works on; one per thread that waits, and read-ahead and the like
	StoreRequests Use `json:"store_requests"` // under way, of all kinds; Most is --max-connections, per store
	Reads         Use `json:"reads"`          // GETs of objects' bytes, for programs and read-ahead
	Uploads       Use `json:"uploads"`        // files
	Parts         Use `json:"parts"`          // part requests of uploads; Most is --parallel-parts, per store
	Inodes        Use `json:"inodes"`         // that the kernel knows; of more than Most (a directory counts as eight) it is asked to forget some, but it keeps what is in use
}

// Use is how much of something is used now, and how much there can be at most.
type Use struct {
	Now  int64 `json:"now"`
	Most int64 `json:"most"`
}

// Progress is how far a flush is.
type Progress struct {
	Done  int64 `json:"done"`  // bytes sent
	Total int64 `json:"total"` // bytes to send; may grow while programs write
	Files int   `json:"files"` // not stored yet
}

// UnmountOptions say how to unmount.
type UnmountOptions struct {
	// Lazy takes the mount away from its place at once; programs that have files open keep
	// them. Uploads go on in the background until all are done.
	Lazy bool `json:"lazy"`
	// LeavePending ends the process after the unmount without waiting for uploads; they stay
	// journalled for the next mount.
	LeavePending bool `json:"leave_pending"`
}
