package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/objmount/objmount/ctl"
)

// TestCounterIsStillWhenFinished: what is written after finish, such as a question, stays on the terminal.
func TestCounterIsStillWhenFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := &counter{out: &out, isTTY: true, dry: true}
		c.update(ctl.Step{Done: 7, Bytes: 2})
		if text := out.String(); !strings.Contains(text, "7 found, 2 B") || strings.Contains(text, "done") {
			t.Errorf("a rehearsal shows %q", text)
		}
		c.finish()
		out.WriteString("Remove it? [y/N] ")
		time.Sleep(time.Minute) // of the bubble: a goroutine that draws would have done it
		synctest.Wait()
		if text := out.String(); !strings.HasSuffix(text, "Remove it? [y/N] ") {
			t.Errorf("the question is drawn over: %q", text[max(0, len(text)-60):])
		}
	})
}
