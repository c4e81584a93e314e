package ctl

import "context"

// ReloadRequest asks a mount to read its configuration file again. The path is any in the mount.
type ReloadRequest struct{ Target }

// Reloaded is what reading the configuration file again has changed, or would change.
type Reloaded struct {
	File       string    `json:"file"`
	Remotes    []string  `json:"remotes"`    // of the file, that the mount shows
	Applied    []Setting `json:"applied"`    // changed, from now on
	Remount    []Setting `json:"remount"`    // changed in the file, while the mount goes on with what it has: a new mount is needed
	Overridden []Setting `json:"overridden"` // in the file, but decided by a flag, an option or a variable, which From names
	Unchanged  []string  `json:"unchanged"`  // in the file, as the mount has it
	DryRun     bool      `json:"dry_run,omitempty"`
}

// Setting is a change of one of the file's settings. Of what is more than one value (prefix, namespace) only the name is told.
type Setting struct {
	Name string `json:"name"` // as in the file; of a mount of several remotes REMOTE.NAME, but for those of [mount]
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

func reload(ctx context.Context, c *call, r ReloadRequest) error {
	if c.Reload == nil {
		return &Error{Kind: KindInvalid, Message: "this is no mount, which alone has something to read again; name a path in one"}
	}
	done, err := c.Reload(ctx, r.DryRun)
	if err != nil {
		return err
	}
	return c.item(done)
}
