package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/ctl"
)

// sizeLimit is the largest size of a file in bytes: "50MiB", or "none".
type sizeLimit struct {
	bytes int64 // 0: none
	text  string
}

func (l *sizeLimit) Set(text string) error {
	var n size
	if text != "none" {
		if err := n.Set(text); err != nil || n == 0 {
			return errors.New("want a size such as 50MiB or 1000000 (bytes), or none")
		}
	}
	l.bytes, l.text = int64(n), text
	return nil
}

func (l *sizeLimit) String() string { return l.text }

func (*sizeLimit) Type() string { return "size" }

// typeList is a list of content types: "image/*,application/pdf", or "any".
type typeList struct {
	types []string // none: any
	text  string
}

func (l *typeList) Set(text string) error {
	l.text, l.types = text, []string{}
	if text == "any" {
		return nil
	}
	types, err := backend.ParseTypes(text)
	switch {
	case err != nil:
		return err
	case types == nil && !strings.Contains(text, "*/*"):
		return errors.New("want content types such as image/*,application/pdf, or any")
	case types != nil:
		l.types = types
	}
	if _, err := (backend.BucketLimits{Types: types}).Tags(); err != nil {
		return err
	}
	return nil
}

func (l *typeList) String() string { return l.text }

func (*typeList) Type() string { return "types" }

// bucketLimits are the flags about the limits of a bucket.
type bucketLimits struct {
	size  sizeLimit
	types typeList
}

func (l *bucketLimits) flags(f *pflag.FlagSet) {
	f.Var(&l.size, "file-size-limit", "the largest size of a file, such as 50MiB; none: no limit")
	f.Var(&l.types, "allowed-mime-types", "the content types of files, such as image/*,application/pdf; any: all")
}

// limitLines are what bucket show and bucket update print of limits.
func limitLines(l ctl.BucketLimits) (sizeText, types string) {
	if l.FileSizeLimit > 0 {
		n := size(l.FileSizeLimit)
		if sizeText = n.String(); sizeText == strconv.FormatInt(l.FileSizeLimit, 10) {
			sizeText += " bytes"
		}
	}
	return sizeText, strings.Join(l.AllowedMIMETypes, ", ")
}
