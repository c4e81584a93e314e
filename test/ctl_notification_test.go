package test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventSink is where a server sends its notifications.
type eventSink struct {
	*httptest.Server
	mu    sync.Mutex
	seen  map[string]bool // "bucket/key event"
	more  chan struct{}   // closed at the next event
	queue string          // the name of the sink in documents
}

func newEventSink(w *world, queue string) *eventSink {
	e := &eventSink{seen: map[string]bool{}, more: make(chan struct{}), queue: queue}
	e.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			EventName, Key string
		}
		if json.NewDecoder(r.Body).Decode(&message) != nil {
			return // the server only looks whether somebody is there
		}
		key, err := url.QueryUnescape(message.Key)
		if err != nil {
			key = message.Key
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.seen[key+" "+message.EventName] = true
		close(e.more)
		e.more = make(chan struct{})
	}))
	w.atEnd(e.Close)
	return e
}

// told waits until an event has come.
func (e *eventSink) told(t testing.TB, event string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		e.mu.Lock()
		seen, more := e.seen[event], e.more
		e.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("nobody was told of %s", event)
		}
	}
}

// silent tells whether nothing was told of a key.
func (e *eventSink) silent(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for event := range e.seen {
		if strings.HasPrefix(event, key+" ") {
			return false
		}
	}
	return true
}

// TestCtlNotification: what a program writes through the mount is told to whom the document names.
func TestCtlNotification(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "ctl.notification")
	bucket := s.newBucket(t)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	write(t, m.in("before.csv"), "x")
	file := documentFile(t, `{"QueueConfigurations": [{"Id": "csv", "QueueArn": "`+s.events.queue+`", "Events": ["s3:ObjectCreated:*"],
 "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".csv"}]}}}]}`)
	m.failsCtl(1, "has no notification document", "notification", "get", ".")
	m.mustCtl("notification", "set", ".", file)
	s.hasDocument(t, "get_bucket_notification_configuration", bucket, s.events.queue)
	m.mustCtl("notification", "set", ".", documentFile(t, m.mustCtl("notification", "get", ".")))
	write(t, m.in("other.txt"), "x")
	write(t, m.in("new.csv"), "x")
	s.events.told(t, bucket+"/new.csv s3:ObjectCreated:Put")
	if !s.events.silent(bucket+"/other.txt") || !s.events.silent(bucket+"/before.csv") {
		t.Error("somebody was told of what the document does not name")
	}
	m.failsCtl(2, "", "notification", "set", ".", documentFile(t, `{"QueueConfigurations": [{"QueueArn": "arn:minio:sqs::NONE:webhook", "Events": ["s3:ObjectCreated:*"]}]}`))
	s.hasDocument(t, "get_bucket_notification_configuration", bucket, s.events.queue)
	m.mustCtl("notification", "delete", ".")
	m.mustCtl("notification", "delete", ".")
	m.failsCtl(1, "has no notification document", "notification", "get", ".")
	var reply map[string]any
	s.boto(t, "get_bucket_notification_configuration", map[string]any{"Bucket": bucket}, &reply)
	if reply["QueueConfigurations"] != nil {
		t.Errorf("the other client still sees %v", reply)
	}
}
