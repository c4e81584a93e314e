package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newSelectCommand() *cobra.Command {
	var r ctl.SelectRequest
	var stats bool
	input := choice{"", []string{"csv", "json", "parquet"}}
	compression := choice{"", []string{"none", "gzip", "bzip2"}}
	header := choice{"", []string{"use", "ignore", "none"}}
	output := choice{"", []string{"csv", "json"}}
	return ctlCommand{
		use: "select [flags] PATH EXPRESSION", short: "run a query over the rows of a file inside the store",
		long: `Run a query over the rows of a file inside the store (S3 Select) and print the rows. The input is
guessed from the name: .csv, .tsv, .json, .jsonl, .ndjson and .parquet, also with .gz or .bz2. A store
that does not run queries is exit code 13.`,
		example: `  objmount ctl select /mnt/people.csv "SELECT s.name FROM s3object s WHERE s.city = 'Oslo'"
  objmount ctl select --stats /mnt/events.jsonl.gz "SELECT count(*) FROM s3object"
  objmount ctl select --input csv --header none --delimiter ';' --output json /mnt/raw "SELECT s._1 FROM s3object s LIMIT 5"`,
		args: exactly("PATH", "EXPRESSION"), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.Var(&input, "input", "what the file holds (default: by its name)")
			f.Var(&compression, "compression", "how it is compressed as a whole (default: by its name)")
			f.Var(&header, "header", "CSV: use the first row as names of columns, ignore it, or there is none (default: use)")
			f.StringVar(&r.Delimiter, "delimiter", "", "CSV: the `character` between fields (default: a comma; of .tsv a tab)")
			f.StringVar(&r.Quote, "quote", "", "CSV: the `character` around fields (default: \")")
			f.StringVar(&r.Comment, "comment", "", "CSV: the `character` that begins a row to pass over")
			f.BoolVar(&r.Lines, "lines", false, "JSON: one document a line, instead of one document")
			f.Var(&output, "output", "how rows are printed (default: as CSV from CSV, else as JSON)")
			f.StringVar(&r.OutputDelimiter, "output-delimiter", "", "CSV: the `character` between printed fields")
			f.Var(amount{&r.ScanStart}, "scan-start", "begin with the row that begins at or after this `byte`")
			f.Var(amount{&r.ScanEnd}, "scan-end", "end with the row that begins before this `byte`")
			f.BoolVar(&stats, "stats", false, "print on standard error how many bytes it took")
			f.BoolVar(&r.DryRun, "dry-run", false, "only ask whether the store takes the query, and print no rows")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			r.Target, r.Expression = t.target(r.DryRun), args[0]
			r.Input, r.Compression, r.Header, r.Output = input.value, compression.value, header.value, output.value
			if s.json {
				if output.value == "csv" {
					return usage("--json prints rows as JSON; leave out --output=csv, or it")
				}
				r.Output, s.json = "json", false // rows are the answer
			}
			return s.run(ctx, t, "select", r, func(l ctl.Line) error {
				if l.Rows != "" {
					_, err := io.WriteString(s.out, string(l.Rows))
					return err
				}
				if l.Result == nil || !stats {
					return nil
				}
				var sum ctl.SelectResult
				if err := json.Unmarshal(l.Result, &sum); err != nil {
					return err
				}
				_, err := fmt.Fprintf(s.err, "objmount: scanned %s, processed %s, returned %s\n", bytesText(sum.Scanned), bytesText(sum.Processed), bytesText(sum.Returned))
				return err
			})
		},
	}.command()
}
