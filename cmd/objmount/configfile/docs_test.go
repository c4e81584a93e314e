package configfile

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDocsHaveEveryKey holds the headings of docs/config.md against the keys. Flags are looked at where they are known.
func TestDocsHaveEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### `"); ok {
			documented = append(documented, strings.TrimSuffix(name, "`"))
		}
	}
	known := slices.Concat(topKeys, remoteKeys, prefixKeys, namespaceKeys)
	slices.Sort(known)
	slices.Sort(documented)
	if known = slices.Compact(known); !slices.Equal(documented, known) {
		t.Errorf("docs/config.md has sections of\n%v, want\n%v", documented, known)
	}
}
