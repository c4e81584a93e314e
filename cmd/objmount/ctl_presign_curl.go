package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/objmount/objmount/ctl"
)

// sizes is the smallest and the largest size, as a flag takes them: MIN,MAX.
type sizes struct {
	min, max size
	set      bool
}

func (s *sizes) Set(text string) error {
	from, to, ok := strings.Cut(text, ",")
	if !ok {
		return errors.New("want two sizes such as 1,10MiB")
	}
	if err := errors.Join(s.min.Set(from), s.max.Set(to)); err != nil {
		return errors.New("want two sizes such as 1,10MiB")
	}
	if s.max < s.min {
		return errors.New("the second size has to be the larger one")
	}
	s.set = true
	return nil
}

func (s *sizes) String() string {
	if !s.set {
		return ""
	}
	return s.min.String() + "," + s.max.String()
}

func (*sizes) Type() string { return "MIN,MAX" }

func (s *sizes) asked() *ctl.LengthRange {
	if !s.set {
		return nil
	}
	return &ctl.LengthRange{Min: int64(s.min), Max: int64(s.max)}
}

// pairs reads NAME=VALUE of a flag that may be repeated.
func pairs(flag string, texts []string) (map[string]string, error) {
	all := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := all[name]; !ok || name == "" || twice {
			return nil, usage("%s=%s: want NAME=VALUE, each name once", flag, text)
		}
		all[name] = value
	}
	return all, nil
}

// uploadHeaders are the headers of an upload; values are those of storedHeaders.
func uploadHeaders(values []string, class string, metadata, tags, others []string) (map[string]string, error) {
	all, err := pairs("--header", others)
	if err != nil {
		return nil, err
	}
	given := map[string]string{}
	for i, name := range storedHeaders {
		given[name] = values[i]
	}
	given["x-amz-storage-class"] = class
	own, err := pairs("--metadata", metadata)
	if err != nil {
		return nil, err
	}
	for key, value := range own {
		given["x-amz-meta-"+strings.ToLower(key)] = value
	}
	labels, err := pairs("--tag", tags)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for key, value := range labels {
		query.Set(key, value)
	}
	given["x-amz-tagging"] = query.Encode()
	for name, value := range given {
		if value == "" {
			continue
		}
		for other := range all {
			if strings.EqualFold(other, name) {
				return nil, usage("the header %s is given twice", name)
			}
		}
		all[name] = value
	}
	return all, nil
}

// localFile is the name of the file beside the one that runs curl; "" when there need not be one.
func (p *presigning) localFile(t ctlTarget, r ctl.Presigned) string {
	name := path.Base(t.rest)
	switch {
	case p.file != "" || p.bodiless:
		return p.file
	case strings.HasSuffix(r.Fields["key"], fileName), name == ".", name == "/":
		return "file"
	}
	return name
}

// fileName is where the name of the file belongs in the key of a form.
const fileName = "${filename}"

// quoted is a word of the shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// curlCommand makes a signed request with curl. Fields of a form that may be longer are as short as they may be;
// the name of the file is filled in, because not every store does it.
func curlCommand(r ctl.Presigned, file string) string {
	words := []string{"curl --fail --silent --show-error"}
	if u, err := url.Parse(r.URL); err == nil && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		words = append(words, "--path-as-is") // components that are dots, or empty
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		words = append(words, "--header "+quoted(name+": "+r.Headers[name]))
	}
	switch {
	case len(r.Fields) > 0:
		for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
			value := r.Fields[name]
			if name == "key" {
				value = strings.ReplaceAll(value, fileName, path.Base(file))
			}
			words = append(words, "--form-string "+quoted(name+"="+value))
		}
		inside := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(file)
		words = append(words, "--form "+quoted(fmt.Sprintf(`file=@"%s"`, inside)))
	case r.Method == "HEAD":
		words = append(words, "--head")
	case r.Method == "GET":
		if file != "" {
			words = append(words, "--output "+quoted(file))
		}
	case r.Method == "PUT" && file != "":
		words = append(words, "--upload-file "+quoted(file))
	case r.Method == "PUT", r.Method == "POST":
		if file != "" {
			file = "@" + file
		}
		words = append(words, "--request "+r.Method, "--data-binary "+quoted(file))
		if _, typed := r.Headers["Content-Type"]; !typed {
			words = append(words, "--header 'Content-Type:'") // not that of an HTML form
		}
	default:
		words = append(words, "--request "+r.Method)
	}
	return strings.Join(append(words, quoted(r.URL)), " ")
}
