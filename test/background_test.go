package test

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// TestBackgroundCloseDoesNotWait: in background mode a file that has attributes of its own is closed while the store takes nothing; the
// marker that tells other mounts to look for attributes is written before the file is, by this mount or after a crash by the next.
func TestBackgroundCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"goes on", "killed"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, "versitygw")
			p := newProxy(t, s)
			m := stagedOn(t, newState(t), p.endpoint, "--commit=background")
			if err := os.Mkdir(m.in("dir"), 0o755); err != nil {
				t.Fatal(err)
			}
			p.on(&rule{match: operations("PutObject", "CopyObject"), hold: make(chan struct{})})
			data := bytesOf(1, 1000)
			old := map[string]time.Time{}
			closed := make(chan error, 1)
			go func() {
				f, err := os.OpenFile(m.in("dir/private"), os.O_CREATE|os.O_WRONLY, 0o600)
				if err == nil {
					_, err = f.Write(data)
				}
				if err == nil {
					err = f.Close()
				}
				if err == nil {
					f, err = os.OpenFile(m.in("late"), os.O_CREATE|os.O_WRONLY, 0o644)
				}
				if err == nil {
					_, err = f.Write(data)
				}
				if err == nil {
					time.Sleep(2500 * time.Millisecond) // its date has to be kept then
					err = f.Close()
				}
				closed <- err
			}()
			select {
			case err := <-closed:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(30 * time.Second): // the store would be waited for ten times as long
				m.dumpGoroutines()
				t.Fatalf("close waits for the store\n%s", m.log.tail())
			}
			for _, name := range []string{"dir/private", "late"} {
				info, err := os.Stat(m.in(name))
				if err != nil {
					t.Fatal(err)
				}
				old[name] = info.ModTime()
			}
			if end == "killed" {
				m.kill()
				p.clear()
				m = m.again()
			} else {
				p.clear()
			}
			m.must("ctl", "flush", m.dir)
			other := newMount(t, mountOptions{store: s, source: m.options.source})
			for name, mode := range map[string]os.FileMode{"dir/private": 0o600, "late": 0o644} {
				info, err := os.Stat(other.in(name))
				if err != nil {
					t.Error(err)
				} else if info.Mode() != mode || info.ModTime().Sub(old[name]).Abs() > time.Second {
					t.Errorf("%s: another mount shows %v, %v; it was closed with %v, %v", name, info.Mode(), info.ModTime(), mode, old[name])
				}
				if got := s.get(t, m.bucket(), name); !bytes.Equal(got, data) {
					t.Errorf("%s: %s", name, firstDifference(got, data))
				}
			}
			tell(t, 1, 2, 1)
		})
	}
}
