package s3

import (
	"bytes"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// uploadForm sends a form as a browser does and returns the status and the answer.
func uploadForm(t *testing.T, address string, fields map[string]string, name, content string) (int, string) {
	t.Helper()
	return uploadFormBy(t, http.DefaultClient, address, fields, name, content)
}

func uploadFormBy(t *testing.T, client *http.Client, address string, fields map[string]string, name, content string) (int, string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range fields {
		if err := form.WriteField(field, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(file, content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(address, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestFormsOnServers: a form uploads what its policy says, and nothing else.
func TestFormsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if srv.name != "versitygw" && srv.name != "minio" {
			t.Skip("not every store has forms: Ceph 16 refuses them, SeaweedFS looks at no size")
		}
		in := backend.PostInput{
			Object: backend.ObjectID{Bucket: bucket, Key: "in/é b+"}, Expires: time.Minute,
			Exact:      map[string]string{"x-amz-meta-by": "a form", "Cache-Control": "no-store"},
			StartsWith: map[string]string{"Content-Type": "image/"}, Length: &backend.LengthRange{Min: 2, Max: 6},
		}
		signed, err := store.PresignPost(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		changed := func(name, value string) map[string]string {
			f := maps.Clone(signed.Fields)
			f[name] = value
			return f
		}
		for what, try := range map[string]struct {
			fields  map[string]string
			content string
		}{
			"another key":      {changed("key", "in/other"), "four"},
			"another type":     {changed("Content-Type", "text/plain"), "four"},
			"another metadata": {changed("x-amz-meta-by", "me"), "four"},
			"too short":        {changed("Content-Type", "image/png"), "1"},
			"too long":         {changed("Content-Type", "image/png"), "1234567"},
			"another policy":   {changed("policy", signed.Fields["policy"][4:]), "four"},
		} {
			if status, text := uploadForm(t, signed.URL, try.fields, "a", try.content); status < 400 || status >= 500 {
				t.Errorf("%s: %d %s", what, status, text)
			}
		}
		if status, text := uploadForm(t, signed.URL, changed("Content-Type", "image/png"), "a", "four"); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, text)
		}
		obj, err := store.Head(t.Context(), in.Object, backend.GetOptions{})
		if err != nil || obj.Size != 4 || obj.Headers.ContentType != "image/png" || obj.Metadata["by"] != "a form" || obj.Headers.CacheControl != "no-store" {
			t.Errorf("%+v, %v", obj, err)
		}

		prefix := backend.PostInput{Object: backend.ObjectID{Bucket: bucket, Key: "many/"}, Prefix: true, Expires: time.Minute}
		if signed, err = store.PresignPost(t.Context(), prefix); err != nil {
			t.Fatal(err)
		}
		if status, text := uploadForm(t, signed.URL, changed("key", "many/chosen"), "a", "x"); status != http.StatusNoContent {
			t.Errorf("a key below the prefix: %d %s", status, text)
		}
		if status, text := uploadForm(t, signed.URL, changed("key", "few/chosen"), "a", "x"); status < 400 {
			t.Errorf("a key that does not begin so: %d %s", status, text)
		}
		if status, text := uploadForm(t, signed.URL, signed.Fields, "name.txt", "y"); status != http.StatusNoContent {
			t.Errorf("the name of the file: %d %s", status, text)
		}
		keys, want := listAll(t, store, bucket, "many/"), "many/chosen many/name.txt"
		if srv.name == "versitygw" { // takes it literally; a client that knows the name should fill it in
			want = "many/${filename} many/chosen"
		}
		if strings.Join(keys, " ") != want {
			t.Errorf("stored: %q", keys)
		}
		for _, key := range append(keys, in.Object.Key) {
			if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
				t.Error(err)
			}
		}
	})
}

func listAll(t *testing.T, store *Store, bucket, prefix string) (keys []string) {
	t.Helper()
	page, err := store.List(t.Context(), backend.ListInput{Bucket: bucket, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range page.Objects {
		keys = append(keys, obj.Key)
	}
	return keys
}

// TestSignedHeadersOnServers: headers that were signed have to come, and count; parameters make other requests.
func TestSignedHeadersOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		id := backend.ObjectID{Bucket: bucket, Key: "k"}
		send := func(in backend.PresignInput, body string, header map[string]string) (int, string) {
			t.Helper()
			in.Object, in.Expires = id, time.Minute
			signed, err := store.Presign(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if header == nil {
				header = signed.Header
			}
			req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range header {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(text)
		}
		put := backend.PresignInput{Method: http.MethodPut, Header: map[string]string{
			"Content-Type": "text/x-signed", "x-amz-meta-who": "anybody  else", "X-Amz-Storage-Class": "STANDARD",
		}}
		if status, text := send(put, "body", map[string]string{}); status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("without the headers: %d %s", status, text)
		}
		if status, text := send(put, "body", nil); status != http.StatusOK {
			t.Fatalf("PUT: %d %s", status, text)
		}
		obj, err := store.Head(t.Context(), id, backend.GetOptions{})
		if err != nil || obj.Headers.ContentType != "text/x-signed" || obj.Metadata["who"] == "" {
			t.Errorf("%+v, %v", obj, err)
		}
		if vendors[srv.name].tags {
			tag := backend.PresignInput{Method: http.MethodPut, Parameters: map[string]string{"tagging": ""}}
			body := `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`
			if status, text := send(tag, body, nil); status >= 300 {
				t.Errorf("tagging: %d %s", status, text)
			}
			if tags, err := store.Tags(t.Context(), id, ""); err != nil || tags["a"] != "b" {
				t.Errorf("%v, %v", tags, err)
			}
		}
		if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: id.Key}); err != nil {
			t.Error(err)
		}
	})
}
