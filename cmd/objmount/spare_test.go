package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSlotOnAFullDisk: what a mount needs of a disk that is full after a crash is there: its note is left as it is, and the room that the slot has
// kept is free until staging is open. One with nothing in it keeps no room.
func TestSlotOnAFullDisk(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	s := mustTake(t, state, "/a", false)
	s.keepSpare(quiet())()
	if info, err := os.Stat(s.spare()); err != nil || info.Size() != spareSize {
		t.Fatalf("the spare room is %v, %v", info, err)
	}
	note, err := os.Stat(filepath.Join(s.dir, noteName))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.lock.Close(); err != nil { // killed
		t.Fatal(err)
	}
	s = mustTake(t, state, "/a", false)
	if now, err := os.Stat(filepath.Join(s.dir, noteName)); err != nil || !os.SameFile(note, now) {
		t.Errorf("the note was written again: %v", err)
	}
	for _, kept := range []int{1, 0} {
		if _, err := os.Stat(s.spare()); !os.IsNotExist(err) {
			t.Errorf("the spare room is not free: %v", err)
		}
		if err := s.leave(kept); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(s.spare()); (err == nil) != (kept > 0) {
			t.Errorf("%d files are kept, and the spare room: %v", kept, err)
		}
		if n, _ := readNote(s.dir); n.Pending != kept {
			t.Errorf("the note says %d", n.Pending)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
		s = mustTake(t, state, "/a", false)
		if n, _ := readNote(s.dir); n.Pending != -1 {
			t.Errorf("the note of a mount that runs says %d", n.Pending)
		}
	}
}
