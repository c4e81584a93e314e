package main

import (
	"strings"
	"testing"

	"github.com/objmount/objmount/ctl"
)

func TestKeysAreReadInBatches(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 30<<10)
	for _, test := range []struct {
		in   string
		null bool
		want []int // keys in each batch
	}{
		{"", false, nil},
		{"\n\n", false, nil},
		{"a\n\nb c\n", false, []int{2}},
		{"a\nb\x00c", true, []int{2}},
		{strings.Repeat("k\n", 2500), false, []int{1000, 1000, 500}},
		{long + "\n" + long + "\nx\n", false, []int{1, 2}},
	} {
		var got []int
		list := keyList{strings.NewReader(test.in), test.null}
		err := list.partly(func(keys []ctl.Text) error {
			got = append(got, len(keys))
			if len(got) == 1 {
				return &ctl.Error{Kind: ctl.KindPartial, Message: "one of them"}
			}
			return nil
		})
		if len(got) != len(test.want) || (err == nil) != (len(test.want) == 0) {
			t.Errorf("%.20q: batches of %v, %v", test.in, got, err)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%.20q: batches of %v, want %v", test.in, got, test.want)
			}
		}
	}
	broken := keyList{strings.NewReader(strings.Repeat("k", longestKeyLine+1)), false}
	if err := broken.each(func([]ctl.Text) error { return nil }); err == nil || !strings.Contains(err.Error(), "reading keys") {
		t.Errorf("%v", err)
	}
}

func TestByteRanges(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byteRange{
		"0-0": {"0-0", 0, 1, true}, "2-4": {"2-4", 2, 3, true}, "7-": {"7-", 7, 0, true},
	} {
		var got byteRange
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "5", "-5", "4-3", "a-b", "1-9223372036854775807", "1-2-3"} {
		if err := new(byteRange).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
