package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A slot keeps some room on its disk, so that a mount can start on one that is full to the last byte: what start-up writes (the
// note, a new segment of the journal) fits into it, and then what is staged can be uploaded, which makes room.
const (
	spareName = "spare"
	spareSize = 1 << 20 // bytes; ten thousand staged files have a journal of about that size
	spareWait = 10 * time.Second
)

func (s *slot) spare() string { return filepath.Join(s.dir, spareName) }

// dropSpare gives the room up.
func (s *slot) dropSpare() error {
	if err := os.Remove(s.spare()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// makeSpare takes the room, of a disk that has twice as much. The slot is locked.
func (s *slot) makeSpare() error {
	if strings.Contains(s.name, readOnlyName) { // nothing is kept there
		return nil
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return err
	}
	if free < 2*spareSize {
		return fmt.Errorf("%d bytes are free in %s", free, s.dir)
	}
	noise := make([]byte, spareSize) // zeros may take no room
	_, _ = rand.Read(noise)          // never fails
	if err := os.WriteFile(s.spare(), noise, 0o600); err != nil {
		return errors.Join(err, s.dropSpare())
	}
	return nil
}

// keepSpare takes the room as soon as there is some, and returns what ends that.
func (s *slot) keepSpare(log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		look := time.NewTicker(spareWait)
		defer look.Stop()
		for told := false; ; {
			err := s.makeSpare()
			if err == nil {
				return
			}
			if !told {
				told = true
				log.Info("the disk with the state directory is almost full", slog.String("error", err.Error()))
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// leave notes how many files the slot holds when its mount ends.
func (s *slot) leave(kept int) error {
	err := errors.Join(s.dropSpare(), s.note(kept))
	if err == nil && kept != 0 {
		_ = s.makeSpare() // if there is room
	}
	return err
}
