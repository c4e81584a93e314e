package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/ctl"
)

// documentTexts say what each document of a bucket is for.
var documentTexts = map[backend.BucketDoc]struct{ what, short, removed string }{
	backend.PolicyDoc:       {"policy", "who may do what", ""},
	backend.LifecycleDoc:    {"lifecycle configuration", "what expires or moves to another class, and when", ""},
	backend.NotificationDoc: {"notification configuration", "who is told of changes", ""},
	backend.EncryptionDoc:   {"encryption configuration", "how new objects are encrypted", ""},
	backend.ReplicationDoc:  {"replication configuration", "what is copied to other buckets", ""},
	backend.ObjectLockDoc:   {"object lock configuration", "the retention that new objects get", " Object lock itself stays: only the retention of new objects is removed."},
	backend.CORSDoc:         {"CORS configuration", "what pages of other sites may ask for", ""},
	backend.PublicAccessDoc: {"public access block", "what of policies and ACLs is void where it opens the bucket to everybody", ""},
}

// newDocumentCommands makes a noun for each document of a bucket.
func newDocumentCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, doc := range backend.EachBucketDoc() {
		n, text := documentNoun{doc.String()}, documentTexts[doc]
		verbs := []*cobra.Command{n.get(), n.set(), n.delete(text.removed), n.diff(), n.edit()}
		if doc == backend.PolicyDoc {
			verbs = append(verbs, policyExplain())
		}
		all = append(all, nounCommand(n.name, "the "+text.what+" of a bucket: "+text.short,
			"Work on the "+text.what+" of a bucket: "+text.short+". PATH is the directory of a bucket, or s3://BUCKET.\n"+
				"It is JSON as the AWS CLI prints and takes it; XML of S3 is taken, too.",
			fmt.Sprintf("  objmount ctl %[1]s get s3://my-bucket > %[1]s.json\n  objmount ctl %[1]s diff s3://my-bucket %[1]s.json\n  objmount ctl %[1]s set s3://my-bucket %[1]s.json", n.name),
			verbs...))
	}
	return all
}

// documentNoun is the noun of a document.
type documentNoun struct{ name string }

func (n documentNoun) example(text string) string { return fmt.Sprintf(text, n.name) }

// print shows the documents of an answer.
func (s *ctlSession) document(ctx context.Context, t ctlTarget, verb string, request any, each func(ctl.Document) error) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error { return decoded(l, each) })
}

func (n documentNoun) get() *cobra.Command {
	return ctlCommand{
		use: "get [flags] PATH", short: "print it",
		long:    "Print what the bucket has, so that set takes it. A bucket that has none: exit code 1.",
		example: n.example("  objmount ctl %s get s3://my-bucket"),
		args:    exactly("PATH"),
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.DocumentRequest{Target: t.target(false), Document: n.name}
			return s.document(ctx, t, "document/get", r, func(d ctl.Document) error {
				_, err := io.WriteString(s.out, d.Text)
				return err
			})
		},
	}.command()
}

func (n documentNoun) set() *cobra.Command {
	var dry bool
	var anonymous, prefix string
	policy := n.name == backend.PolicyDoc.String()
	c := ctlCommand{
		use: "set [flags] PATH [FILE]", short: "replace it by a file, or by standard input",
		long: `Replace what the bucket has by FILE; by standard input where there is no FILE or it is "-". What cannot be right is
refused before anything is sent, with its line.`,
		example: n.example("  objmount ctl %[1]s set s3://my-bucket %[1]s.json"),
		args:    pathAndFile, onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&dry, "dry-run", false, "only check it, and print it as it would be")
			if policy {
				f.StringVar(&anonymous, "anonymous", "", "instead of a file: everybody may `read`, read-write or none; other statements stay")
				f.StringVar(&prefix, "prefix", "", "with --anonymous: only keys that begin with it")
			}
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			quiet := func(d ctl.Document) error {
				if !dry {
					return nil
				}
				_, err := io.WriteString(s.out, d.Text)
				return err
			}
			if s.flags.Changed("anonymous") {
				if len(args) > 0 {
					return usage("give FILE or --anonymous, not both")
				}
				return s.document(ctx, t, "policy/anonymous", ctl.AnonymousRequest{Target: t.target(dry), Access: anonymous, Prefix: prefix}, quiet)
			}
			if s.flags.Changed("prefix") {
				return usage("--prefix goes with --anonymous")
			}
			text, err := readDocument(args)
			if err != nil {
				return err
			}
			return s.document(ctx, t, "document/set", ctl.SetDocumentRequest{Target: t.target(dry), Document: n.name, Text: text}, quiet)
		},
	}
	if policy {
		c.example += "\n  objmount ctl policy set --anonymous read --prefix pub/ s3://my-bucket"
	}
	return c.command()
}

func (n documentNoun) delete(removed string) *cobra.Command {
	var dry bool
	return ctlCommand{
		use: "delete [flags] PATH...", short: "remove it",
		long:    "Remove what the bucket has. Where there is none, nothing happens." + removed,
		example: n.example("  objmount ctl %s delete s3://my-bucket"),
		flags:   func(f *pflag.FlagSet) { f.BoolVar(&dry, "dry-run", false, "only say whether there is one to delete") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.DocumentRequest{Target: t.target(dry), Document: n.name}
			return s.document(ctx, t, "document/delete", r, func(d ctl.Document) error {
				return s.wouldDelete(dry, "the "+d.Document+" document of "+t.path)
			})
		},
	}.command()
}

func (n documentNoun) diff() *cobra.Command {
	return ctlCommand{
		use: "diff [flags] PATH [FILE]", short: "show what set would change",
		long: `Show what set would change: the lines that differ, as diff -u does. Both sides are brought into the same form, so
that order of names and blanks do not count. The exit code does not tell whether anything differs.`,
		example: n.example("  objmount ctl %[1]s diff s3://my-bucket %[1]s.json"),
		args:    pathAndFile, onePath: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			text, err := readDocument(args)
			if err != nil {
				return err
			}
			r := ctl.SetDocumentRequest{Target: t.target(false), Document: n.name, Text: text}
			return s.run(ctx, t, "document/diff", r, func(l ctl.Line) error {
				return decoded(l, func(d ctl.DocumentDiff) error {
					_, err := io.WriteString(s.out, d.Text)
					return err
				})
			})
		},
	}.command()
}

func (n documentNoun) edit() *cobra.Command {
	return ctlCommand{
		use: "edit [flags] PATH", short: "change it in an editor",
		long: `Open what the bucket has in $VISUAL, $EDITOR or vi, and set what is saved there. Nothing is set when nothing was
changed, when the editor fails, or when somebody else changed it meanwhile. What could not be set is kept in a file.`,
		example: n.example("  EDITOR=nano objmount ctl %[1]s edit s3://my-bucket\n  objmount ctl %[1]s edit s3://my-bucket"),
		args:    exactly("PATH"),
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return n.editOn(ctx, s, t)
		},
	}.command()
}

func (n documentNoun) editOn(ctx context.Context, s *ctlSession, t ctlTarget) error {
	before := ""
	quiet := *s
	quiet.json = false
	err := quiet.document(ctx, t, "document/get", ctl.DocumentRequest{Target: t.target(false), Document: n.name}, func(d ctl.Document) error {
		before = d.Text
		return nil
	})
	if err != nil && ctl.KindOf(err) != ctl.KindNotFound {
		return err
	}
	dir, err := os.MkdirTemp("", "objmount-edit-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, n.name+".json")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		return err
	}
	text, err := editFile(ctx, file)
	if err == nil && bytes.Equal(text, []byte(before)) {
		s.say("objmount: " + t.path + ": nothing was changed")
	} else if err == nil {
		r := ctl.SetDocumentRequest{Target: t.target(false), Document: n.name, Text: string(text), Instead: &before}
		err = s.document(ctx, t, "document/set", r, func(ctl.Document) error { return nil })
		if err != nil {
			s.say("objmount: " + t.path + ": not set; what was written is in " + file)
			return err
		}
	}
	_ = os.RemoveAll(dir) // at worst a file is left in the temporary directory
	return err
}

// editFile lets the user's editor work on a file, and returns what it has then.
func editFile(ctx context.Context, file string) ([]byte, error) {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", file) // the variables may have arguments
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fail(exitFailed, "the editor %s: %v", editor, err)
	}
	return os.ReadFile(file)
}

// readDocument reads FILE; standard input where there is none.
func readDocument(args []string) (string, error) {
	if len(args) == 0 || args[0] == "-" {
		text, err := io.ReadAll(os.Stdin)
		return string(text), err
	}
	text, err := os.ReadFile(args[0])
	if wrong, ok := errors.AsType[*os.PathError](err); ok {
		return "", usage("%s: %v", args[0], wrong.Err)
	}
	if err != nil {
		return "", usage("%s: %v", args[0], err)
	}
	return string(text), nil
}

func pathAndFile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return usage("want PATH and at most one FILE; usage: %s", cmd.UseLine())
	}
	return nil
}
