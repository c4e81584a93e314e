package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
)

// ask has the mount's control socket do a verb of objmount ctl ("pending/flush") at a path below the mountpoint, and returns the
// items of its answer. It starts no process, which takes longer than all else that random calls do.
func (m *mount) ask(verb, path string, more map[string]any) (items []json.RawMessage, err error) {
	sockets, err := filepath.Glob(filepath.Join(m.options.state, "objmount", "*.sock"))
	if err != nil || len(sockets) != 1 {
		return nil, fmt.Errorf("the sockets %v, %w", sockets, err)
	}
	request := map[string]any{"path": path}
	for name, value := range more {
		request[name] = value
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: unmountTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", sockets[0])
		},
	}}
	reply, err := client.Post("http://mount/v1/"+verb, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	for lines := json.NewDecoder(reply.Body); ; {
		var line struct {
			Item   json.RawMessage
			Result json.RawMessage
			Error  *struct{ Kind, Message string }
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			if reply.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("%s %s: %s", verb, path, reply.Status)
			}
			return items, nil
		case err != nil:
			return nil, err
		case line.Error != nil:
			return nil, fmt.Errorf("%s %s: %s (%s)", verb, path, line.Error.Message, line.Error.Kind)
		case line.Item != nil:
			items = append(items, line.Item)
		}
	}
}

// below is a path as the control socket takes it.
func (m *mount) below(path string) string {
	return strings.Trim(strings.TrimPrefix(path, m.dir), "/")
}
