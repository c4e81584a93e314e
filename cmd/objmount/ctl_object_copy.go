package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

// given are the flags of what a new object gets.
type given struct {
	ctl.Given
	metadata, tags []string
	retention      deadline
	mode           choice
	set            *pflag.FlagSet
}

func (g *given) flags(f *pflag.FlagSet) {
	g.set = f
	f.StringVar(&g.ContentType, "content-type", "", "the `type` of the content, such as text/plain")
	f.StringVar(&g.CacheControl, "cache-control", "", "the `text` of this header")
	f.StringVar(&g.ContentDisposition, "content-disposition", "", "the `text` of this header")
	f.StringVar(&g.ContentEncoding, "content-encoding", "", "the `text` of this header")
	f.StringVar(&g.ContentLanguage, "content-language", "", "the `text` of this header")
	f.StringArrayVar(&g.metadata, "metadata", nil, "metadata: `KEY=VALUE`; can be given several times")
	f.StringArrayVar(&g.tags, "tag", nil, "a tag: `KEY=VALUE`; can be given several times")
	f.StringVar(&g.Expires, "expires", "", "the `time` of this header: an HTTP date, or RFC 3339")
	f.StringVar(&g.WebsiteRedirect, "website-redirect", "", "where a website of the bucket sends visitors: a `URL` or /KEY")
	f.StringVar(&g.StorageClass, "storage-class", "", "the `class`, such as STANDARD_IA")
	f.StringVar(&g.Encryption, "encryption", "", "the `algorithm` AES256, aws:kms, aws:kms:KEYID, aws:kms:dsse or aws:kms:dsse:KEYID")
	f.Var(&g.retention, "retention", "keep it until then: 30d, 6m, 1y, a day, or RFC 3339")
	g.mode = choice{"governance", []string{"governance", "compliance"}}
	f.Var(&g.mode, "retention-mode", "of --retention")
	f.BoolVar(&g.LegalHold, "legal-hold", false, "put a legal hold on it")
}

func overLockedFlag(f *pflag.FlagSet, over *bool) {
	f.BoolVar(over, "over-locked", false, "also where what is stored is under retention or legal hold: it stays, as the version below")
}

// parsed is what was given.
func (g *given) parsed(now time.Time) (ctl.Given, error) {
	out := g.Given
	if g.retention.text != "" {
		out.Mode, out.Until = strings.ToUpper(g.mode.value), g.retention.from(now).UTC()
	} else if g.set.Changed("retention-mode") {
		return out, usage("--retention-mode says nothing without --retention; add --retention 30d, or leave it out")
	}
	for _, list := range []struct {
		flag  string
		texts []string
		into  *map[string]string
	}{{"metadata", g.metadata, &out.Metadata}, {"tag", g.tags, &out.Tags}} {
		*list.into = nil
		for _, text := range list.texts {
			key, value, ok := strings.Cut(text, "=")
			if !ok || key == "" {
				return out, usage("--%s=%s: want KEY=VALUE", list.flag, text)
			}
			if *list.into == nil {
				*list.into = map[string]string{}
			}
			(*list.into)[key] = value
		}
	}
	return out, nil
}

func onlyFlags(f *pflag.FlagSet, o *ctl.Only) {
	f.StringVar(&o.IfMatch, "if-match", "", "only if what is stored there has this `etag`")
	f.BoolVar(&o.IfNoneMatch, "if-none-match", false, "only if nothing is stored there")
}

func objectCopyCommand() *cobra.Command {
	var r ctl.CopyRequest
	var g given
	metadata, tagging := choice{"copy", []string{"copy", "replace"}}, choice{"copy", []string{"copy", "replace"}}
	modified, unmodified := newMoment(), newMoment()
	return ctlCommand{
		use: "copy [flags] SOURCE DESTINATION", short: "copy an object inside the store",
		long: `Copy a version of an object inside the store: no byte comes here. Headers, metadata, tags, storage class
and encryption are those of the source, unless others are given. Above 5 GiB it is copied in parts. Both
are in one mount, or both are s3://BUCKET/KEY.`,
		example: `  objmount ctl object copy /mnt/report.txt /mnt/archive/
  objmount ctl object list --recursive --json /mnt/logs | jq -r 'select(.size > 0).key' | objmount ctl object copy /mnt/logs - /mnt/archive/
  objmount ctl object copy --if-none-match --version-id 3HL4kqtJlcpXroDTDmJ /mnt/report.txt /mnt/old.txt
  objmount ctl object copy --metadata-directive replace --content-type text/html --metadata lang=nb s3://my-bucket/a s3://other/b`,
		args: exactly("SOURCE", "DESTINATION"), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", "of the source: "+versionFlag)
			onlyFlags(f, &r.Only)
			f.StringVar(&r.SourceIfMatch, "source-if-match", "", "only if the source has this `etag`")
			f.StringVar(&r.SourceIfNoneMatch, "source-if-none-match", "", "only if the source has another than this `etag`")
			f.Var(&modified, "modified-since", "only if the source was stored after this time")
			f.Var(&unmodified, "unmodified-since", "only if the source was not stored after this time")
			f.Var(&metadata, "metadata-directive", "headers and metadata: those of the source, or those given")
			f.Var(&tagging, "tagging", "tags: those of the source, or those given")
			g.flags(f)
			overLockedFlag(f, &r.OverLocked)
			f.BoolVar(&r.DryRun, "dry-run", false, "check only, and show what would be made")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			to, err := s.sibling(ctx, t, args[0])
			if err != nil {
				return err
			}
			if r.Given, err = g.parsed(time.Now()); err != nil {
				return err
			}
			r.Target, r.To = t.target(r.DryRun), to
			r.ReplaceMetadata, r.ReplaceTags = metadata.value == "replace", tagging.value == "replace"
			r.ModifiedSince, r.UnmodifiedSince = modified.orNil(), unmodified.orNil()
			return s.showStored(ctx, t, "object/copy", r, "copied", r.DryRun)
		},
	}.manyKeys().command()
}

// sibling is another path that one request names besides its own.
func (s *ctlSession) sibling(ctx context.Context, t ctlTarget, path string) (ctl.Text, error) {
	var other ctlTarget
	err := s.on(ctx, path, nil, func(_ context.Context, _ *ctlSession, found ctlTarget, _ []string) error {
		other = found
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case other.bare != t.bare, !t.bare && other.info.Socket != t.info.Socket:
		return "", usage("%s and %s are not in the same mount; name both in one mount, or both s3://BUCKET/KEY", t.path, path)
	case other.remote != t.remote:
		return "", usage("%s and %s are in two stores, which cannot copy between each other; get the object and put it", t.path, path)
	case other.dir && other.rest != "" && !strings.HasSuffix(other.rest, "/"):
		other.rest += "/"
	}
	return ctl.Text(other.rest), nil
}

// showStored runs a verb that makes an object, and shows it.
func (s *ctlSession) showStored(ctx context.Context, t ctlTarget, verb string, request any, done string, dry bool) error {
	if dry {
		done = "would be " + done
	}
	return s.run(ctx, t, verb, request, s.stored(done))
}

// stored shows an object that was made.
func (s *ctlSession) stored(done string) func(ctl.Line) error {
	return func(l ctl.Line) error {
		return decoded(l, func(o ctl.Stored) error {
			_, err := fmt.Fprintf(s.out, "%s: %s%s (%s)\n", done, printable(o.Key), versionText(o.VersionID), bytesText(o.Size))
			return err
		})
	}
}
