package ctl

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// SelectRequest is a query over the rows of a file. What is empty is guessed from the name, or is the
// default of S3.
type SelectRequest struct {
	Target
	Expression      string `json:"expression"`
	Input           string `json:"input,omitempty"`       // "csv", "json" or "parquet"
	Compression     string `json:"compression,omitempty"` // "none", "gzip" or "bzip2"
	Header          string `json:"header,omitempty"`      // "use", "ignore" or "none"; CSV
	Delimiter       string `json:"delimiter,omitempty"`   // CSV
	Quote           string `json:"quote,omitempty"`       // CSV
	Comment         string `json:"comment,omitempty"`     // CSV
	Lines           bool   `json:"lines,omitempty"`       // JSON: a document a line
	Output          string `json:"output,omitempty"`      // "csv" or "json"; empty: as the input, JSON of Parquet
	OutputDelimiter string `json:"output_delimiter,omitempty"`
	ScanStart       int64  `json:"scan_start,omitempty"` // bytes; 0, 0: everything
	ScanEnd         int64  `json:"scan_end,omitempty"`
}

// SelectResult counts bytes.
type SelectResult struct {
	Scanned   int64 `json:"scanned"`   // as they are stored
	Processed int64 `json:"processed"` // decompressed
	Returned  int64 `json:"returned"`
}

// formats are the inputs by the end of a name, in lower case.
var formats = map[string]struct {
	input, delimiter string
	lines            bool
}{
	".csv": {input: "csv"}, ".tsv": {input: "csv", delimiter: "\t"}, ".json": {input: "json"},
	".jsonl": {input: "json", lines: true}, ".ndjson": {input: "json", lines: true}, ".parquet": {input: "parquet"},
}

// compressions are those of S3 Select by the end of a name.
var compressions = map[string]string{".gz": "gzip", ".bz2": "bzip2"}

// guess fills in what the name tells.
func (r *SelectRequest) guess(key string) {
	name := strings.ToLower(path.Base(key))
	if c := compressions[path.Ext(name)]; c != "" {
		name = strings.TrimSuffix(name, path.Ext(name))
		if r.Compression == "" {
			r.Compression = c
		}
	}
	if f, ok := formats[path.Ext(name)]; ok && (r.Input == "" || r.Input == f.input) {
		r.Input, r.Lines = f.input, r.Lines || f.lines
		if r.Delimiter == "" {
			r.Delimiter = f.delimiter
		}
	}
	if r.Output == "" && r.Input == "csv" {
		r.Output = "csv"
	} else if r.Output == "" {
		r.Output = "json"
	}
	if r.Input == "csv" && r.Header == "" {
		r.Header = "use"
	}
}

// inputOf gives the words that S3 has for them.
var (
	inputOf       = map[string]string{"csv": "CSV", "json": "JSON", "parquet": "Parquet"}
	compressionOf = map[string]string{"": "", "none": "", "gzip": "GZIP", "bzip2": "BZIP2"}
	headerOf      = map[string]string{"": "", "use": "USE", "ignore": "IGNORE", "none": "NONE"}
	outputOf      = map[string]string{"csv": "CSV", "json": "JSON"}
)

// input checks the request and puts it into the words of the store.
func (r SelectRequest) input(p Place) (backend.SelectInput, error) {
	in := backend.SelectInput{
		Object: p.id(), Expression: r.Expression, Input: inputOf[r.Input], Compression: compressionOf[r.Compression], Header: headerOf[r.Header],
		Delimiter: r.Delimiter, Quote: r.Quote, Comment: r.Comment, Lines: r.Lines, Output: outputOf[r.Output], OutputDelimiter: r.OutputDelimiter,
		ScanStart: r.ScanStart, ScanEnd: r.ScanEnd,
	}
	for _, word := range []struct {
		name, value string
		known       map[string]string
	}{{"compression", r.Compression, compressionOf}, {"header", r.Header, headerOf}, {"output", r.Output, outputOf}} {
		if _, ok := word.known[word.value]; !ok {
			return in, &Error{Kind: KindInvalid, Message: fmt.Sprintf("the %s %q is not known", word.name, word.value)}
		}
	}
	wrong := ""
	switch csv := r.Input == "csv"; {
	case r.Expression == "":
		wrong = `the query is missing; write for example "SELECT * FROM s3object s LIMIT 5"`
	case in.Input == "" && r.Input == "":
		wrong = path.Base(p.Key) + " has no ending that tells what it holds; say it: --input csv, json or parquet"
	case in.Input == "":
		wrong = fmt.Sprintf("the input %q is not known", r.Input)
	case !csv && slices.ContainsFunc([]string{r.Header, r.Delimiter, r.Quote, r.Comment}, func(s string) bool { return s != "" }):
		wrong = "header, delimiter, quote and comment are for CSV"
	case r.Lines && r.Input != "json":
		wrong = "lines are for JSON"
	case r.Input == "parquet" && in.Compression != "":
		wrong = "Parquet is compressed inside, never as a whole"
	case slices.ContainsFunc([]string{r.Delimiter, r.Quote, r.Comment, r.OutputDelimiter}, func(s string) bool { return utf8.RuneCountInString(s) > 1 }):
		wrong = "delimiter, quote, comment and output delimiter are one character each"
	case r.ScanStart < 0, r.ScanEnd < 0, r.ScanEnd > 0 && r.ScanEnd <= r.ScanStart:
		wrong = "the range to scan is empty"
	}
	if wrong != "" {
		return in, &Error{Kind: KindInvalid, Message: wrong}
	}
	return in, nil
}

func selectRows(ctx context.Context, c *call, p Place, r SelectRequest) error {
	if err := p.one(); err != nil {
		return err
	}
	r.guess(p.Key)
	in, err := r.input(p)
	if err != nil {
		return err
	}
	if r.DryRun {
		return c.trySelect(ctx, in)
	}
	in.Progress = func(s backend.SelectStats) {
		_ = c.progress(func(step *Step) { step.Bytes = s.Processed }) // rows will meet the same error
	}
	stats, err := c.Store.Select(ctx, in, rowWriter{c})
	if err != nil {
		return c.noQueries(err)
	}
	return c.result(SelectResult(stats))
}

// trySelect asks whether the store takes the query, and ends it with the first that comes: VersityGW refuses every
// query only when it is asked.
func (c *call) trySelect(ctx context.Context, in backend.SelectInput) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	taken := &begun{end: cancel}
	in.Progress = func(backend.SelectStats) { taken.note() }
	if _, err := c.Store.Select(ctx, in, taken); err != nil && !taken.yes.Load() {
		return c.noQueries(err)
	}
	return c.result(SelectResult{})
}

// begun ends a query that has begun to answer.
type begun struct {
	end context.CancelFunc
	yes atomic.Bool
}

func (b *begun) note() {
	b.yes.Store(true)
	b.end()
}

// Write takes no rows.
func (b *begun) Write(p []byte) (int, error) {
	b.note()
	return len(p), nil
}

// noQueries says it when that is why a query failed.
func (c *call) noQueries(err error) error {
	if backend.IsKind(err, backend.KindUnsupported) {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s does not run queries (S3 Select); read the file instead", c.Endpoint)}
	}
	return err
}

// rowWriter sends rows as they come.
type rowWriter struct{ call *call }

func (w rowWriter) Write(p []byte) (int, error) {
	const piece = 256 << 10 // a line of the answer is read as a whole
	for rest := p; len(rest) > 0; {
		n := min(piece, len(rest))
		if err := w.call.send(Line{Rows: Text(rest[:n])}); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}
