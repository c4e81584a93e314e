package main

import "github.com/objmount/objmount/cmd/objmount/configfile"

// remote returns what the configuration file says now about the remote that the mount is of: an empty one without a file or a remote. A
// reload replaces it, so ask each time. It is safe for concurrent use; what it returns is not to be changed.
func (p *parts) remote() *configfile.Remote {
	if p.cfg.remote == nil {
		return &configfile.Remote{}
	}
	return p.remoteNamed(p.cfg.remote.Name)
}

// remoteNamed is remote for a mount of several.
func (p *parts) remoteNamed(name string) *configfile.Remote {
	file := p.file.Load()
	if file == nil {
		file = p.cfg.file
	}
	if file != nil {
		if r := file.Remote(name); r != nil {
			return r
		}
	}
	return &configfile.Remote{}
}
