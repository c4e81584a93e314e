// Package writeback makes objects of staged files: it plans what to send, sends it in parallel,
// and keeps one ordered queue per key until everything is stored.
package writeback
