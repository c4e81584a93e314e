package configfile

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder turns a file into a File and collects what is wrong with it.
type decoder struct {
	path     string // as it was given
	mode     fs.FileMode
	data     []byte
	starts   []int // of the lines of data
	flags    Flags
	file     *File
	errs     Errors
	patterns []placed // of all remotes
}

// placed is a pattern of bucket names and where it is.
type placed struct {
	remote, pattern string
	line            int
}

// The keys of the tables, besides flags and properties.
var (
	topKeys       = []string{"default-remote", "mount", "remote"}
	remoteKeys    = []string{"vendor", "buckets", keyEncryption, keyKeyFile, keyPublicURL, "prefix", "namespace"}
	prefixKeys    = append([]string{"path"}, ruleKeys()...)
	namespaceKeys = append([]string{"bucket", "prefix", "expire"}, ruleKeys()...)
)

// Every request looks at all rules of a remote, and every bucket at all patterns.
const mostPatterns, mostRules = 1000, 1000

// Names that mean something else in a source.
var reserved = []string{"all", "s3"}

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (d *decoder) decode(top *node) {
	for _, name := range top.names {
		n := top.fields[name]
		switch name {
		case "default-remote":
			d.file.Default, _ = d.text(n, name, "NAME")
		case "mount":
			d.mount(n)
		case "remote":
			d.remotes(n)
		default:
			d.unknown(n, name, "at the top", topKeys)
		}
	}
	if n := top.fields["default-remote"]; d.file.Default != "" && d.file.Remote(d.file.Default) == nil {
		d.bad(n.at, "default-remote is %q, but there is no [remote.%s]; %s", d.file.Default, d.file.Default, d.oneOfTheRemotes())
	}
}

func (d *decoder) oneOfTheRemotes() string {
	if len(d.file.Remotes) == 0 {
		return "add it, or leave default-remote out"
	}
	names := make([]string, len(d.file.Remotes))
	for i, r := range d.file.Remotes {
		names[i] = r.Name
	}
	return "write one of " + strings.Join(names, ", ") + ", or leave it out"
}

func (d *decoder) mount(n *node) {
	if !d.isTable(n, "mount", "[mount]") {
		return
	}
	for _, name := range n.names {
		if setting, ok := d.setting(n.fields[name], name, d.flags.Mount); ok {
			d.file.Mount = append(d.file.Mount, setting)
		} else if flagOf(d.flags.Store, name) != nil {
			d.bad(n.fields[name].key, "%s says where a store is; write it in [remote.NAME]", name)
		} else if flagOf(d.flags.Mount, name) == nil {
			d.unknown(n.fields[name], name, "in [mount]", flagNames(d.flags.Mount))
		}
	}
}

func (d *decoder) remotes(n *node) {
	if !d.isTable(n, "remote", "[remote.NAME]") {
		return
	}
	for _, name := range n.names {
		t := n.fields[name]
		switch {
		case !d.isTable(t, "remote."+name, "[remote.NAME]"):
			continue
		case slices.Contains(reserved, name):
			d.bad(t.key, "the name %q has a meaning of its own in %s; choose another name", name, map[string]string{"all": "all:", "s3": "s3://"}[name])
		case !plainName.MatchString(name):
			d.bad(t.key, `%q is no name of a remote; take up to 63 lower-case letters, digits, "-" and "_", and begin with a letter or digit`, name)
		}
		d.file.Remotes = append(d.file.Remotes, d.remote(name, t))
	}
}

func (d *decoder) remote(name string, t *node) *Remote {
	r := &Remote{Name: name, Line: d.line(t.at)}
	own := Rule{Bucket: "*", Whole: true, Line: r.Line}
	for _, key := range t.names {
		n := t.fields[key]
		switch key {
		case "vendor":
			if text, ok := d.text(n, key, "minio"); ok && !slices.Contains(d.flags.Vendors, text) {
				d.bad(n.at, "vendor %q is not known; write one of %s, or leave it out: it is found out", text, strings.Join(d.flags.Vendors, ", "))
			} else {
				r.Vendor = text
			}
		case "buckets":
			r.Buckets = d.buckets(name, n)
		case keyEncryption, keyKeyFile, keyPublicURL:
			d.property(&own, key, n)
		case "prefix":
			d.prefixes(r, n)
		case "namespace":
			d.namespaces(r, n)
		default:
			if setting, ok := d.setting(n, key, d.flags.Store); ok {
				r.Settings = append(r.Settings, setting)
			} else if flagOf(d.flags.Mount, key) != nil {
				d.bad(n.key, "%s is of the whole mount; write it in [mount]", key)
			} else if flagOf(d.flags.Store, key) == nil {
				d.unknown(n, key, "in [remote."+name+"]", append(flagNames(d.flags.Store), remoteKeys...))
			}
		}
	}
	d.contradictions(t)
	if d.flags.Together != nil && len(r.Settings) > 0 {
		if err := d.flags.Together(r.Settings); err != nil {
			d.bad(t.at, "[remote.%s]: %v", name, err)
		}
	}
	slices.SortStableFunc(r.Rules, func(a, b Rule) int { return cmp.Compare(a.Line, b.Line) })
	r.PublicURL, own.PublicURL = own.PublicURL, ""
	if propertyOf(keyEncryption).has(&own) {
		r.Rules = append(r.Rules, own)
	}
	return r
}

func (d *decoder) buckets(remote string, n *node) (patterns []string) {
	if n.kind != unstable.Array {
		d.bad(n.at, `buckets is %s; want a list, such as buckets = ["logs-*", "data"]`, n.what())
		return nil
	}
	if all := len(d.patterns) + len(n.items); all > mostPatterns {
		d.bad(n.at, "there are %d patterns up to here; a file may have %d, so name more buckets with one", all, mostPatterns)
		return nil
	}
	for _, item := range n.items {
		if item.kind != unstable.String {
			d.bad(item.at, `buckets has %s in it; want names or patterns in quotes, such as "logs-*"`, item.what())
			continue
		}
		if why := badPattern(item.text); why != "" {
			d.bad(item.at, "the pattern %q %s", item.text, why)
			continue
		}
		if why := d.taken(remote, item.text); why != "" {
			d.bad(item.at, "%s", why)
		}
		d.patterns = append(d.patterns, placed{remote, item.text, d.line(item.at)})
		patterns = append(patterns, item.text)
	}
	return patterns
}

// taken says why a pattern would never be asked.
func (d *decoder) taken(remote, pattern string) string {
	for _, p := range d.patterns {
		switch {
		case p.pattern == pattern && p.remote == remote:
			return fmt.Sprintf("the pattern %q is there already (line %d); leave one of them out", pattern, p.line)
		case p.pattern == pattern:
			return fmt.Sprintf("the pattern %q is also one of [remote.%s] (line %d); a bucket belongs to one remote, so leave one of them out", pattern, p.remote, p.line)
		case p.remote == remote:
		case p.pattern == "*", !strings.ContainsAny(pattern, `*?[\`) && matches(p.pattern, pattern):
			return fmt.Sprintf("%q of [remote.%s] (line %d) comes first and takes every bucket of the pattern %q; put [remote.%s] above it", p.pattern, p.remote, p.line, pattern, remote)
		}
	}
	return ""
}

func (d *decoder) prefixes(r *Remote, n *node) {
	where := "[[remote." + r.Name + ".prefix]]"
	if n.kind != unstable.Array {
		d.bad(n.at, "prefix is %s; want tables %s", n.what(), where)
		return
	}
	if d.tooMany(r, n, len(n.items)) {
		return
	}
	for _, t := range n.items {
		if !d.isTable(t, "prefix", where) {
			continue
		}
		rule := Rule{Line: d.line(t.at)}
		for _, key := range t.names {
			switch n := t.fields[key]; {
			case key == "path":
				rule.Bucket, rule.Prefix = d.bucketAndPrefix(n)
				d.onceOnly(r, rule, n)
			case slices.Contains(prefixKeys, key):
				d.property(&rule, key, n)
			default:
				d.unknown(n, key, "in "+where, prefixKeys)
			}
		}
		if t.fields["path"] == nil {
			d.bad(t.at, `%s has no path; say which objects, such as path = "logs-*/raw/"`, where)
		}
		d.contradictions(t)
		r.Rules = append(r.Rules, rule)
	}
}

func (d *decoder) tooMany(r *Remote, n *node, more int) bool {
	if len(r.Rules)+more <= mostRules {
		return false
	}
	d.bad(n.at, "[remote.%s] has %d prefixes and namespaces; a remote may have %d, so leave some out", r.Name, len(r.Rules)+more, mostRules)
	return true
}

// onceOnly refuses a second rule for the same objects.
func (d *decoder) onceOnly(r *Remote, rule Rule, n *node) {
	for _, other := range r.Rules {
		if other.Bucket == rule.Bucket && other.Prefix == rule.Prefix && rule.Bucket != "" {
			d.bad(n.at, "%q is described already (line %d); put both into one", rule.Bucket+"/"+rule.Prefix, other.Line)
		}
	}
}

func (d *decoder) namespaces(r *Remote, n *node) {
	where := "[remote." + r.Name + ".namespace.NAME]"
	if !d.isTable(n, "namespace", where) {
		return
	}
	if d.tooMany(r, n, len(n.names)) {
		return
	}
	for _, name := range n.names {
		t := n.fields[name]
		if !d.isTable(t, "namespace."+name, where) {
			continue
		}
		if !plainName.MatchString(name) {
			d.bad(t.key, `%q is no name of a namespace; take up to 63 lower-case letters, digits, "-" and "_", and begin with a letter or digit`, name)
		}
		d.namespace(r, name, t)
	}
}

func (d *decoder) namespace(r *Remote, name string, t *node) {
	space := Namespace{Name: name, Bucket: "*", Prefix: name + "/", Line: d.line(t.at)}
	rule := Rule{Line: space.Line}
	at := t
	for _, key := range t.names {
		switch n := t.fields[key]; {
		case key == "bucket":
			if text, ok := d.text(n, key, "jobs-*"); ok {
				if why := badPattern(text); why != "" {
					d.bad(n.at, "the pattern %q %s", text, why)
				}
				space.Bucket, at = text, n
			}
		case key == "prefix":
			if text, ok := d.text(n, key, name+"/"); ok {
				d.directory(text, n)
				space.Prefix, at = text, n
			}
		case key == "expire":
			space.Expire = d.days(n)
		case slices.Contains(namespaceKeys, key):
			d.property(&rule, key, n)
		default:
			d.unknown(n, key, "in [remote."+r.Name+".namespace."+name+"]", namespaceKeys)
		}
	}
	d.contradictions(t)
	rule.Bucket, rule.Prefix = space.Bucket, space.Prefix
	d.onceOnly(r, rule, at)
	r.Namespaces = append(r.Namespaces, space)
	r.Rules = append(r.Rules, rule)
}

// setting reads a setting that is a flag; not ok: it is none, or an error was reported.
func (d *decoder) setting(n *node, name string, flags []Flag) (Setting, bool) {
	flag := flagOf(flags, name)
	if flag == nil {
		return Setting{}, false
	}
	value := n.text
	switch scalar := n.kind != unstable.Table && n.kind != unstable.Array; {
	case flag.Switch && n.kind != unstable.Bool:
		d.bad(n.at, "%s is %s; want true or false, without quotes", name, n.what())
		return Setting{}, false
	case (flag.Text || flag.Path) && n.kind != unstable.String:
		d.bad(n.at, `%s is %s; want text in quotes, such as %s = "..."`, name, n.what(), name)
		return Setting{}, false
	case !scalar:
		d.bad(n.at, "%s is %s; want one value", name, n.what())
		return Setting{}, false
	case flag.Path:
		value = d.resolve(value)
	case n.kind == unstable.Integer: // "_" and "+" are TOML's
		value = strings.NewReplacer("_", "", "+", "").Replace(value)
	}
	if err := flag.Check(value); err != nil {
		if flag.Text {
			d.bad(n.at, "%s: %v", name, err)
		} else {
			d.bad(n.at, "%s is %q: %v", name, n.text, err)
		}
		return Setting{}, false
	}
	if flag.Text && hasPassword(value) && d.mode&0o004 != 0 {
		d.bad(n.at, "%s holds a password, and every user can read this file (mode %04o); chmod o-r it", name, d.mode)
		return Setting{}, false
	}
	line, column := d.position(n.at)
	return Setting{name, value, line, column}, true
}

// resolve makes a path of the file absolute.
func (d *decoder) resolve(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home() != "" {
		return filepath.Join(home(), rest)
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(d.file.Path), path)
}

func (d *decoder) line(offset int) int {
	line, _ := d.position(offset)
	return line
}

func (d *decoder) isTable(n *node, name, want string) bool {
	if n.kind == unstable.Table {
		return true
	}
	d.bad(n.at, "%s is %s; want a table %s", name, n.what(), want)
	return false
}

// text reads text in quotes.
func (d *decoder) text(n *node, name, example string) (string, bool) {
	if n.kind == unstable.String {
		return n.text, true
	}
	d.bad(n.at, "%s is %s; want text in quotes, such as %s = %q", name, n.what(), name, example)
	return "", false
}

func flagOf(flags []Flag, name string) *Flag {
	for i := range flags {
		if flags[i].Name == name {
			return &flags[i]
		}
	}
	return nil
}

func flagNames(flags []Flag) []string {
	names := make([]string, len(flags))
	for i := range flags {
		names[i] = flags[i].Name
	}
	return names
}
