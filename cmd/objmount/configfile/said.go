package configfile

import (
	"maps"
	"slices"
	"strings"
)

// Entry is a key of a rule and its value as the file would say it: a string, a bool or a map[string]string.
type Entry struct {
	Key   string
	Value any
}

// Said returns what a rule says, in the order of the documentation. Of a key of SSE-C it has the file's name.
func (r *Rule) Said() []Entry {
	var all []Entry
	h := r.Properties.Headers
	texts := map[string]string{
		"content-type": h.ContentType, "cache-control": h.CacheControl, "content-disposition": h.ContentDisposition, "content-encoding": h.ContentEncoding,
		"content-language": h.ContentLanguage, "expires": h.Expires, "storage-class": r.Properties.StorageClass, keyPublicURL: r.PublicURL,
	}
	for _, p := range properties {
		if !p.has(r) {
			if slices.Contains(r.None, p.key) {
				all = append(all, Entry{p.key, nothing(p.key)})
			}
			continue
		}
		switch p.key {
		case "tags":
			all = append(all, Entry{p.key, maps.Clone(r.Properties.Tags)})
		case "metadata":
			all = append(all, Entry{p.key, maps.Clone(r.Properties.Metadata)})
		case "legal-hold":
			all = append(all, Entry{p.key, true})
		case "retention":
			all = append(all, Entry{p.key, r.Retention.String()}, Entry{keyMode, strings.ToLower(string(r.Properties.Lock.Retention.Mode))})
		case keyEncryption:
			all = append(all, r.encryption())
		default:
			all = append(all, Entry{p.key, texts[p.key]})
		}
	}
	return all
}

func (r *Rule) encryption() Entry {
	if r.Key != nil {
		return Entry{keyKeyFile, r.KeyFile}
	}
	e := r.Properties.Encryption
	if e.KMSKeyID == "" {
		return Entry{keyEncryption, e.Algorithm}
	}
	return Entry{keyEncryption, e.Algorithm + ":" + e.KMSKeyID}
}

// nothing is the value that takes a property away.
func nothing(key string) any {
	switch key {
	case "tags", "metadata":
		return map[string]string{}
	case "legal-hold":
		return false
	}
	return ""
}
