package ctl

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// refusals are who was refused lately, so that the log has a line for each user and minute, and not for each request.
type refusals struct {
	mu   sync.Mutex
	told map[uint32]time.Time
}

// tellRefused logs that a user was refused. A peer that is not known counts as one more user.
func (s *Server) tellRefused(uid uint32, known bool, r *http.Request) {
	const every, most = time.Minute, 1000
	if !known {
		uid = 1<<32 - 1 // nobody has it: (uid_t)-1
	}
	now := time.Now()
	s.refused.mu.Lock()
	last, again := s.refused.told[uid]
	tell := !again || now.Sub(last) >= every
	if tell {
		if s.refused.told == nil || len(s.refused.told) >= most {
			s.refused.told = map[uint32]time.Time{}
		}
		s.refused.told[uid] = now
	}
	s.refused.mu.Unlock()
	if tell {
		s.log.Warn("control socket: refused", slog.Uint64("uid", uint64(uid)), slog.Bool("known", known), slog.String("request", r.Method+" "+r.URL.Path))
	}
}
