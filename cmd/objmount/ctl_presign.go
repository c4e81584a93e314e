package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/ctl"
)

func newPresignCommand() *cobra.Command {
	return nounCommand("presign", "make URLs and forms that work without credentials",
		`Sign requests for somebody without credentials. Who has the URL, or the form, can do what it says until
it expires, and nothing else. No request is made for signing: the mount's process signs with its
credentials, or the command with yours for s3://BUCKET/KEY.`,
		`  objmount ctl presign get --expires 7d /mnt/report.txt
  objmount ctl presign put --content-type image/png --curl /mnt/new.png
  objmount ctl presign post --content-length-range 1,10MiB --starts-with Content-Type=image/ /mnt/uploads/`,
		presignRead("get", "GET", "download"), presignRead("head", "HEAD", "look at"), presignPut(), presignDelete(), presignAny(), presignPost())
}

// presigning are the flags that all verbs of presign have.
type presigning struct {
	expires interval
	curl    bool
	file    string
	// bodiless: a request without a file is one, too.
	bodiless bool
}

func (p *presigning) add(f *pflag.FlagSet) {
	p.expires = interval(time.Hour)
	f.Var(&p.expires, "expires", "how long it is good: 15m, 12h, 7d; 7 days at most, and never longer than the credentials")
	f.BoolVar(&p.curl, "curl", false, "print a command for curl")
}

// addFile is for requests that send or receive a file.
func (p *presigning) addFile(f *pflag.FlagSet, usual string) {
	f.StringVar(&p.file, "file", "", "the local `file` in the command for curl (default: "+usual+")")
}

func (p *presigning) check(s *ctlSession) error {
	if p.curl && s.json {
		return usage("--curl and --json are two ways to print it; choose one")
	}
	if p.file != "" && !p.curl {
		return usage("--file is of use with --curl only")
	}
	return nil
}

// seconds is how long it shall be good.
func (p *presigning) seconds() (int64, error) {
	if d := time.Duration(p.expires); d < time.Second || d > backend.MaxPresigned {
		return 0, usage("--expires: S3 signs for 1 second to 7 days, not for %s", p.expires.String())
	}
	return int64(time.Duration(p.expires) / time.Second), nil
}

// sign runs a verb that answers with a signed request, and prints it.
func (p *presigning) sign(ctx context.Context, s *ctlSession, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(signed ctl.Presigned) error { return p.show(s, t, signed) })
	})
}

func (p *presigning) show(s *ctlSession, t ctlTarget, signed ctl.Presigned) error {
	if p.curl {
		_, err := fmt.Fprintln(s.out, curlCommand(signed, p.localFile(t, signed)))
		return err
	}
	if _, err := fmt.Fprintln(s.out, signed.URL); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(signed.Fields)) {
		if _, err := fmt.Fprintf(s.out, "%s=%s\n", name, printable(ctl.Text(signed.Fields[name]))); err != nil {
			return err
		}
	}
	if len(signed.Headers) > 0 {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(signed.Headers)) {
			all = append(all, name+": "+signed.Headers[name])
		}
		s.bar.note("objmount: " + t.path + ": the request has to have these headers: " + strings.Join(all, "; "))
	}
	return nil
}

// request does what all verbs but post do.
func (p *presigning) request(ctx context.Context, s *ctlSession, t ctlTarget, r ctl.PresignRequest) error {
	if err := p.check(s); err != nil {
		return err
	}
	var err error
	if r.Expires, err = p.seconds(); err != nil {
		return err
	}
	r.Target = t.target(false)
	return p.sign(ctx, s, t, "presign/url", r)
}

// answerHeaders are what a URL can set in the answer to it (S3 API, "GetObject").
var answerHeaders = []string{"content-type", "content-disposition", "content-encoding", "content-language", "cache-control", "expires"}

func presignRead(use, method, what string) *cobra.Command {
	var p presigning
	var version string
	values := make([]string, len(answerHeaders))
	return ctlCommand{
		use: use + " [flags] PATH...", short: "a URL to " + what + " a file",
		long: fmt.Sprintf(`Print a URL by which anybody can %s a file until it expires. What was written through the mount is
stored first. With --version-id the URL is of that version, also when the file was deleted.`, what),
		example: fmt.Sprintf("  objmount ctl presign %s --expires 7d /mnt/report.txt\n  objmount ctl presign %s --response-content-disposition 'attachment; filename=\"report.txt\"' --curl s3://my-bucket/r1", use, use),
		flags: func(f *pflag.FlagSet) {
			p.add(f)
			if method == "GET" {
				p.addFile(f, "the last name of PATH")
			}
			f.StringVar(&version, "version-id", "", versionFlag)
			for i, name := range answerHeaders {
				f.StringVar(&values[i], "response-"+name, "", "the "+name+" of the answer, whatever is stored")
			}
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.PresignRequest{Method: method, VersionID: version, Query: map[string]string{}}
			for i, name := range answerHeaders {
				if values[i] != "" {
					r.Query["response-"+name] = values[i]
				}
			}
			return p.request(ctx, s, t, r)
		},
	}.command()
}

// storedHeaders are what an upload can say of what it stores, each a flag of its own.
var storedHeaders = []string{"content-type", "content-disposition", "content-encoding", "content-language", "cache-control"}

func presignPut() *cobra.Command {
	var p presigning
	var metadata, tags, headers []string
	var class string
	var fresh bool
	values := make([]string, len(storedHeaders))
	return ctlCommand{
		use: "put [flags] PATH...", short: "a URL to upload a file",
		long: `Print a URL by which anybody can upload a file with a PUT until it expires; it need not be there yet. The
headers that are given here are signed: an upload without them, or with others in their place, is refused.`,
		example: `  objmount ctl presign put --expires 15m /mnt/new.bin
  objmount ctl presign put --content-type image/png --metadata by=guest --new --curl s3://my-bucket/new.png`,
		flags: func(f *pflag.FlagSet) {
			p.add(f)
			p.addFile(f, "the last name of PATH")
			for i, name := range storedHeaders {
				f.StringVar(&values[i], name, "", "the upload has to have this "+name)
			}
			f.StringVar(&class, "storage-class", "", "the upload has to be of this storage `class`")
			f.StringArrayVar(&metadata, "metadata", nil, "the upload has to have this metadata, `KEY=VALUE`; may be repeated")
			f.StringArrayVar(&tags, "tag", nil, "the upload has to have this tag, `KEY=VALUE`; may be repeated")
			f.StringArrayVar(&headers, "header", nil, "the upload has to have this header, `NAME=VALUE`; may be repeated")
			f.BoolVar(&fresh, "new", false, "the upload is refused when there is a file already")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.PresignRequest{Method: "PUT"}
			var err error
			if r.Headers, err = uploadHeaders(values, class, metadata, tags, headers); err != nil {
				return err
			}
			if fresh {
				r.Headers["If-None-Match"] = "*"
			}
			return p.request(ctx, s, t, r)
		},
	}.command()
}

func presignDelete() *cobra.Command {
	var p presigning
	var version string
	return ctlCommand{
		use: "delete [flags] PATH...", short: "a URL to delete a file",
		long:    "Print a URL by which anybody can delete a file, or one version of it for good, with a DELETE until it expires.",
		example: "  objmount ctl presign delete --expires 15m /mnt/report.txt\n  objmount ctl presign delete --version-id 3HL4kqtJlcpXroDTDmJ --curl s3://my-bucket/report.txt",
		flags: func(f *pflag.FlagSet) {
			p.add(f)
			f.StringVar(&version, "version-id", "", versionFlag)
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return p.request(ctx, s, t, ctl.PresignRequest{Method: "DELETE", VersionID: version})
		},
	}.command()
}

func presignAny() *cobra.Command {
	var p presigning
	var version string
	var query, headers []string
	method := choice{"", []string{"GET", "HEAD", "PUT", "DELETE", "POST"}}
	return ctlCommand{
		use: "any --method METHOD [flags] PATH...", short: "a URL for any request about an object",
		long: `Print a URL for any request of S3 about an object: its tags, its ACL, a part of an upload. Whether the
object is there is not looked at.`,
		example: `  objmount ctl presign any --method GET --query tagging /mnt/report.txt
  objmount ctl presign any --method PUT --query partNumber=1 --query uploadId=2~abc --curl s3://my-bucket/big.bin`,
		flags: func(f *pflag.FlagSet) {
			p.add(f)
			p.addFile(f, "none")
			p.bodiless = true
			f.Var(&method, "method", "the method")
			f.StringVar(&version, "version-id", "", versionFlag)
			f.StringArrayVar(&query, "query", nil, "a parameter of the request, `NAME[=VALUE]`; may be repeated")
			f.StringArrayVar(&headers, "header", nil, "the request has to have this header, `NAME=VALUE`; may be repeated")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			if method.value == "" {
				return usage("--method is missing; it is one of %s", strings.Join(method.allowed, ", "))
			}
			r := ctl.PresignRequest{Method: method.value, Unchecked: true, VersionID: version, Query: map[string]string{}}
			for _, one := range query {
				name, value, _ := strings.Cut(one, "=")
				r.Query[name] = value
			}
			var err error
			if r.Headers, err = pairs("--header", headers); err != nil {
				return err
			}
			return p.request(ctx, s, t, r)
		},
	}.command()
}

func presignPost() *cobra.Command {
	var p presigning
	var prefix string
	var exact, begins []string
	var length sizes
	return ctlCommand{
		use: "post [flags] PATH...", short: "a form to upload a file, with conditions",
		long: `Print the address and the fields of a form (POST policy) by which anybody, also a browser, can upload a file
until it expires, as long as the conditions hold. Of a directory, or with --key-prefix, any file in it;
the client says in the field key which, and stores put its name there for ${filename} (VersityGW does not).
Fields of --starts-with may be made longer. The file comes last, in the field file.`,
		example: `  objmount ctl presign post --content-length-range 1,10MiB --starts-with Content-Type=image/ /mnt/uploads/
  objmount ctl presign post --exact x-amz-meta-by=guest --key-prefix guest- --curl --file photo.jpg s3://my-bucket/uploads/`,
		flags: func(f *pflag.FlagSet) {
			p.add(f)
			p.addFile(f, "the last name of PATH")
			f.StringVar(&prefix, "key-prefix", "", "PATH is a directory, and names in it have to begin with this `text`")
			f.StringArrayVar(&exact, "exact", nil, "a field of the form has to have this value, `FIELD=VALUE`; may be repeated")
			f.StringArrayVar(&begins, "starts-with", nil, "a field of the form has to begin so, `FIELD=PREFIX`; may be repeated")
			f.Var(&length, "content-length-range", "the smallest and the largest size of the file")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			if err := p.check(s); err != nil {
				return err
			}
			r := ctl.PresignPostRequest{Target: t.target(false), KeyPrefix: ctl.Text(prefix), Length: length.asked()}
			var err error
			if r.Expires, err = p.seconds(); err != nil {
				return err
			}
			if r.Exact, err = pairs("--exact", exact); err != nil {
				return err
			}
			if r.StartsWith, err = pairs("--starts-with", begins); err != nil {
				return err
			}
			return p.sign(ctx, s, t, "presign/post", r)
		},
	}.command()
}
