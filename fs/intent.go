package fs

import (
	"encoding/json"
	"log/slog"

	"github.com/objmount/objmount/cache/staging"
)

// addIntent journals what is about to be done, and returns its number; with sync it is durable then.
func (f *FS) addIntent(kind string, what any, sync bool) (uint64, error) {
	payload, err := json.Marshal(what)
	if err != nil {
		return 0, err
	}
	return f.cfg.Staging.AddIntent(kind, payload, sync)
}

// readIntent reads what was journalled. What cannot be read is kept, and false is returned.
func (f *FS) readIntent(intent staging.Intent, what any) bool {
	err := json.Unmarshal(intent.Payload, what)
	if err != nil {
		f.log.Warn("unreadable promise in the journal is kept", slog.String("kind", intent.Kind), slog.String("error", err.Error()))
	}
	return err == nil
}

// dropIntents takes out of the journal what is done. If that fails the next mount meets it again, and finds it done.
func (f *FS) dropIntents(intents ...uint64) {
	for _, id := range intents {
		if err := f.cfg.Staging.DropIntent(id); err != nil {
			f.log.Warn("journal", slog.String("error", err.Error()))
		}
	}
}
