package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/cmd/objmount/configfile"
)

const configShowLong = `Show what holds for a mount, and where each value was given: as a flag, in a variable OBJMOUNT_NAME, in
the configuration file, or nowhere (default). Passwords are masked, and of a key there is the file's
name alone. REMOTE shows one remote.

What is printed is a configuration file itself, with defaults as comments. The flags are those of
objmount mount.`

func newConfigShowCommand() *cobra.Command {
	o := newOptions()
	var asJSON bool
	groups := append(single(func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "answer in JSON") }), o.groups()...)
	cmd := &cobra.Command{
		Use: "show [flags] [REMOTE]", Short: "show what holds, and where it was given", Long: configShowLong,
		Example: `  objmount config show
  objmount config show minio
  objmount config show --json --config ./config.toml`,
		Args: atMostOne("REMOTE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			if err := o.applyList(flags, false); err != nil {
				return err
			}
			if err := o.applyEnvironment(flags); err != nil {
				return err
			}
			if err := o.readFile(flags); err != nil {
				return err
			}
			v, err := o.view(flags, args)
			if err != nil {
				return err
			}
			if asJSON {
				return v.json(cmd.OutOrStdout())
			}
			_, err = io.WriteString(cmd.OutOrStdout(), v.text())
			return err
		},
	}
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	setHelp(cmd, groups, "")
	return cmd
}

// view is what config show shows.
type view struct {
	File    string         `json:"file,omitempty"`
	FoundBy string         `json:"found_by,omitempty"` // the flag or variable that named the file
	Default string         `json:"default_remote,omitempty"`
	Mount   []viewValue    `json:"mount,omitempty"`
	Store   []viewValue    `json:"store,omitempty"` // of buckets that belong to no remote
	Remotes []configRemote `json:"remotes,omitempty"`
	only    string         // the remote that was asked for
}

// byDefault is where a value comes from that was given nowhere.
const byDefault = "default"

// viewValue is a flag's value and where it was given.
type viewValue struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	From  string `json:"from"`
}

// configRemote is one remote of the view.
type configRemote struct {
	Name       string      `json:"name"`
	Line       int         `json:"line"`
	Vendor     string      `json:"vendor,omitempty"`
	Buckets    []string    `json:"buckets,omitempty"`
	Settings   []viewValue `json:"settings"`
	Own        viewRule    `json:"properties,omitzero"`
	Prefixes   []viewRule  `json:"prefixes,omitempty"`
	Namespaces []viewRule  `json:"namespaces,omitempty"`
}

// viewRule is what holds for some objects.
type viewRule struct {
	Name   string         `json:"name,omitempty"` // of a namespace
	Bucket string         `json:"bucket,omitempty"`
	Prefix string         `json:"prefix,omitempty"`
	Line   int            `json:"line,omitempty"`
	Expire string         `json:"expire,omitempty"`
	Says   map[string]any `json:"says,omitempty"`
	order  []string       // of the keys of Says
}

// view collects what there is to show.
func (o *options) view(flags *pflag.FlagSet, args []string) (*view, error) {
	v := &view{}
	if o.file != nil {
		v.File, v.Default = o.file.Path, o.file.Default
		if flags.Changed("config") {
			v.FoundBy = o.from.told("config")
		}
	}
	show := []*configfile.Remote{}
	var err error
	switch {
	case len(args) > 0:
		r, err := o.remoteNamed(args[0], "objmount config show")
		if err != nil {
			return nil, err
		}
		v.only, show = r.Name, append(show, r)
	case o.file != nil:
		show = o.file.Remotes
	}
	if v.only == "" {
		if v.Mount, err = o.viewMount(flags); err != nil {
			return nil, err
		}
	}
	if v.only == "" && v.Default == "" {
		if v.Store, err = o.viewStore(flags, nil); err != nil {
			return nil, err
		}
	}
	for _, r := range show {
		one, err := o.viewRemote(flags, r)
		if err != nil {
			return nil, err
		}
		v.Remotes = append(v.Remotes, one)
	}
	return v, nil
}

// viewMount is what holds of the flags of mount, decided as a mount does.
func (o *options) viewMount(flags *pflag.FlagSet) ([]viewValue, error) {
	if err := o.applyMountSettings(flags); err != nil {
		return nil, err
	}
	var all []viewValue
	for _, one := range fileFlags().Mount {
		f := flags.Lookup(one.Name)
		text := f.Value.String()
		if !f.Changed && f.DefValue == "" { // it depends on the machine
			text = ""
		}
		all = append(all, viewOf(one, text, o.from, flags))
	}
	return all, nil
}

// viewStore is how a store would be reached; r nil: one that is no remote.
func (o *options) viewStore(flags *pflag.FlagSet, r *configfile.Remote) ([]viewValue, error) {
	so, err := o.storeFor(flags, r)
	if err != nil {
		return nil, err
	}
	var all []viewValue
	values := so.values()
	for _, one := range fileFlags().Store {
		all = append(all, viewOf(one, values[one.Name], so.from, flags))
	}
	return all, nil
}

func viewOf(one configfile.Flag, text string, from origins, given *pflag.FlagSet) viewValue {
	v := viewValue{one.Name, text, byDefault}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		v.Value = u.Redacted()
	}
	if one.Switch {
		v.Value = text == "true"
	}
	if from[one.Name] != "" || given.Changed(one.Name) {
		v.From = strings.TrimSuffix(from.told(one.Name), ": "+one.Name) // of a file the place
	}
	return v
}

func (o *options) viewRemote(flags *pflag.FlagSet, r *configfile.Remote) (configRemote, error) {
	settings, err := o.viewStore(flags, r)
	v := configRemote{Name: r.Name, Line: r.Line, Vendor: r.Vendor, Buckets: r.Buckets, Settings: settings}
	if r.PublicURL != "" {
		v.Own.say("public-url", r.PublicURL)
	}
	for i := range r.Rules {
		rule := &r.Rules[i]
		space := slices.IndexFunc(r.Namespaces, func(n configfile.Namespace) bool { return n.Bucket == rule.Bucket && n.Prefix == rule.Prefix })
		one := viewRule{Bucket: rule.Bucket, Prefix: rule.Prefix, Line: rule.Line}
		if rule.Whole {
			one = v.Own
		}
		for _, e := range rule.Said() {
			one.say(e.Key, e.Value)
		}
		switch {
		case rule.Whole:
			v.Own = one
		case space >= 0:
			n := r.Namespaces[space]
			one.Name = n.Name
			if n.Expire > 0 {
				one.Expire = fmt.Sprintf("%dd", n.Expire)
			}
			v.Namespaces = append(v.Namespaces, one)
		default:
			v.Prefixes = append(v.Prefixes, one)
		}
	}
	return v, err
}

func (r *viewRule) say(key string, value any) {
	if r.Says == nil {
		r.Says = map[string]any{}
	}
	r.Says[key] = value
	r.order = append(r.order, key)
}

func (v *view) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// text is the view as a configuration file.
func (v *view) text() string {
	var b strings.Builder
	switch {
	case v.only != "":
	case v.File == "":
		fmt.Fprintf(&b, "# There is no configuration file; it would be %s.\n", strings.Join(configPlaces(), " or "))
	case v.FoundBy != "":
		fmt.Fprintf(&b, "# %s, from %s\n", v.File, v.FoundBy)
	default:
		fmt.Fprintf(&b, "# %s\n", v.File)
	}
	if v.Default != "" && v.only == "" {
		fmt.Fprintf(&b, "default-remote = %s\n", inTOML(v.Default))
	}
	if v.Mount != nil {
		b.WriteString("\n[mount]\n")
		v.values(&b, "", v.Mount)
	}
	if v.Store != nil {
		b.WriteString("\n# Buckets that belong to no remote:\n")
		v.values(&b, "# ", v.Store)
	}
	for i, r := range v.Remotes {
		if i > 0 || v.only == "" {
			b.WriteByte('\n')
		}
		v.remote(&b, r)
	}
	return b.String()
}

func (v *view) remote(b *strings.Builder, r configRemote) {
	line(b, "[remote."+r.Name+"]", fmt.Sprintf("line %d", r.Line))
	v.values(b, "", r.Settings)
	if r.Vendor != "" {
		fmt.Fprintf(b, "vendor = %s\n", inTOML(r.Vendor))
	}
	if r.Buckets != nil {
		fmt.Fprintf(b, "buckets = %s\n", inTOML(r.Buckets))
	}
	r.Own.says(b)
	rules := slices.Concat(r.Prefixes, r.Namespaces)
	slices.SortStableFunc(rules, func(a, b viewRule) int { return a.Line - b.Line }) // which of them decides depends on it
	for _, one := range rules {
		b.WriteByte('\n')
		one.table(b, r.Name)
	}
}

// table prints a prefix or a namespace.
func (r *viewRule) table(b *strings.Builder, remote string) {
	if r.Name == "" {
		path := r.Bucket
		if r.Prefix != "" {
			path += "/" + r.Prefix
		}
		line(b, "[[remote."+remote+".prefix]]", fmt.Sprintf("line %d", r.Line))
		fmt.Fprintf(b, "path = %s\n", inTOML(path))
	} else {
		line(b, "[remote."+remote+".namespace."+r.Name+"]", fmt.Sprintf("line %d", r.Line))
		fmt.Fprintf(b, "bucket = %s\nprefix = %s\n", inTOML(r.Bucket), inTOML(r.Prefix))
		if r.Expire != "" {
			fmt.Fprintf(b, "expire = %s\n", inTOML(r.Expire))
		}
	}
	r.says(b)
}

func (r *viewRule) says(b *strings.Builder) {
	for _, key := range r.order {
		fmt.Fprintf(b, "%s = %s\n", key, inTOML(r.Says[key]))
	}
}

// values prints flags, but for those that say nothing.
func (v *view) values(b *strings.Builder, before string, all []viewValue) {
	for _, one := range all {
		from, before := one.From, before
		switch {
		case from != byDefault:
		case one.Value == "":
			continue
		case before == "": // to give a default may mean more than to leave it out: --umask is not taken off a mode that is given
			before = "# "
		}
		if rest, ok := strings.CutPrefix(from, v.File+":"); ok && v.File != "" {
			number, _, _ := strings.Cut(rest, ":")
			from = "line " + number
		}
		line(b, before+one.Name+" = "+inTOML(one.Value), from)
	}
}

// line prints something with a comment at the end.
func line(b *strings.Builder, text, comment string) { fmt.Fprintf(b, "%-40s # %s\n", text, comment) }

// inTOML writes a value.
func inTOML(value any) string {
	switch value := value.(type) {
	case bool:
		return fmt.Sprint(value)
	case []string:
		list := make([]string, len(value))
		for i := range value {
			list[i] = inTOML(value[i])
		}
		return "[" + strings.Join(list, ", ") + "]"
	case map[string]string:
		if len(value) == 0 {
			return "{}"
		}
		var list []string
		for key, one := range value {
			list = append(list, inTOML(key)+" = "+inTOML(one))
		}
		slices.Sort(list)
		return "{ " + strings.Join(list, ", ") + " }"
	}
	var b strings.Builder
	for _, c := range fmt.Sprint(value) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	return `"` + b.String() + `"`
}
