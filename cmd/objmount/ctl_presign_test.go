package main

import (
	"testing"

	"github.com/objmount/objmount/ctl"
)

// TestCurlCommands: whatever names and values have, the shell and curl take it as it is.
func TestCurlCommands(t *testing.T) {
	t.Parallel()
	const curl = "curl --fail --silent --show-error "
	address := "http://s/b/a%20b?X=1&Y=2"
	for _, test := range []struct {
		r    ctl.Presigned
		file string
		want string
	}{
		{ctl.Presigned{Method: "GET", URL: address}, "it's", curl + `--output 'it'\''s' '` + address + `'`},
		{ctl.Presigned{Method: "GET", URL: address}, "", curl + `'` + address + `'`},
		{ctl.Presigned{Method: "HEAD", URL: address}, "f", curl + `--head '` + address + `'`},
		{ctl.Presigned{Method: "DELETE", URL: address}, "f", curl + `--request DELETE '` + address + `'`},
		{ctl.Presigned{Method: "GET", URL: "http://s/b/a/../b"}, "", curl + `--path-as-is 'http://s/b/a/../b'`},
		{ctl.Presigned{Method: "GET", URL: "http://s/b/a//b/"}, "", curl + `--path-as-is 'http://s/b/a//b/'`},
		{
			ctl.Presigned{Method: "PUT", URL: address, Headers: map[string]string{"X-B": "$x", "X-A": "`y`"}}, "f",
			curl + "--header 'X-A: `y`' --header 'X-B: $x' --upload-file 'f' '" + address + "'",
		},
		{ctl.Presigned{Method: "PUT", URL: address}, "", curl + `--request PUT --data-binary '' --header 'Content-Type:' '` + address + `'`},
		{
			ctl.Presigned{Method: "POST", URL: address, Headers: map[string]string{"Content-Type": "a/b"}}, "f",
			curl + `--header 'Content-Type: a/b' --request POST --data-binary '@f' '` + address + `'`,
		},
		{
			ctl.Presigned{Method: "POST", URL: address, Fields: map[string]string{"key": "in/${filename}", "a": "@b;c"}}, `dir/a"b\c`,
			curl + `--form-string 'a=@b;c' --form-string 'key=in/a"b\c' --form 'file=@"dir/a\"b\\c"' '` + address + `'`,
		},
	} {
		if got := curlCommand(test.r, test.file); got != test.want {
			t.Errorf("%+v:\n%s\nwant\n%s", test.r, got, test.want)
		}
	}
}

func TestSizesOfAFlag(t *testing.T) {
	t.Parallel()
	var s sizes
	if s.asked() != nil || s.String() != "" {
		t.Errorf("without a flag: %v", s.asked())
	}
	if err := s.Set("1,10MiB"); err != nil || s.String() != "1,10MiB" || *s.asked() != (ctl.LengthRange{Min: 1, Max: 10 << 20}) {
		t.Errorf("%v, %v", s.asked(), err)
	}
	for _, wrong := range []string{"", "1", "2,1", "-1,2", "1,x"} {
		var s sizes
		if s.Set(wrong) == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
