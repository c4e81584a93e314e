package s3

import (
	"encoding/xml"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// versionListings are answers as servers write them.
var versionListings = map[string]string{
	"VersityGW": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>` +
		`<DeleteMarker><IsLatest>true</IsLatest><Key>d/k +%é</Key><LastModified>2026-11-21T18:28:27.981797Z</LastModified><VersionId>01M7ZNVV6KY4P4BSM70EPZNEF8</VersionId></DeleteMarker>` +
		`<Delimiter></Delimiter><EncodingType></EncodingType><IsTruncated>true</IsTruncated><KeyMarker></KeyMarker><MaxKeys>2</MaxKeys><Name>ver1</Name><NextKeyMarker>d/k +%é</NextKeyMarker>` +
		`<NextVersionIdMarker>01M7ZNVV6G66PC044X9TTQ1HV0</NextVersionIdMarker><Prefix></Prefix><VersionIdMarker></VersionIdMarker><Version><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>` +
		`<ChecksumType>FULL_OBJECT</ChecksumType><ETag>&#34;c81e&#34;</ETag><IsLatest>false</IsLatest><Key>d/k +%é</Key><LastModified>2026-11-21T18:28:27Z</LastModified><Size>1</Size>` +
		`<StorageClass>STANDARD</StorageClass><VersionId>01M7ZNVV6G66PC044X9TTQ1HV0</VersionId></Version></ListVersionsResult>`,
	"MinIO": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>ver1</Name><Prefix></Prefix><KeyMarker></KeyMarker>` +
		`<NextVersionIdMarker></NextVersionIdMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Version><Key>a+b</Key>` +
		`<LastModified>2026-11-21T18:28:28.101Z</LastModified><ETag>&#34;c4ca&#34;</ETag><Size>1</Size><Owner><ID>02d6</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass>` +
		`<IsLatest>false</IsLatest><VersionId>d392db82</VersionId></Version><DeleteMarker><Key>b</Key><VersionId>null</VersionId><Owner/></DeleteMarker><EncodingType>url</EncodingType></ListVersionsResult>`,
	"Ceph": `<?xml version="1.0" encoding="UTF-8"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>` +
		`<CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes><KeyMarker></KeyMarker><NextKeyMarker>d/</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker><Version><Key>old</Key>` +
		`<VersionId>dU6BnP0YPgb8ZgqTjS3TBnhk4H5QAgs</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-21T19:13:21.123Z</LastModified><ETag>&quot;9dd4&quot;</ETag><Size>1</Size>` +
		`<StorageClass>STANDARD</StorageClass><Owner><ID>test</ID><DisplayName>test</DisplayName></Owner><Type>Normal</Type></Version></ListVersionsResult>`,
	"Swift": `<?xml version='1.0' encoding='UTF-8'?>` + "\n" + `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><KeyMarker/><VersionIdMarker/><EncodingType>url</EncodingType>` +
		`<IsTruncated>false</IsTruncated><Version><Key>%C3%A9/1</Key><VersionId>1795288402.74189</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-21T19:13:23.000Z</LastModified><ETag>"9dd4"</ETag>` +
		`<Size>1</Size><Owner><ID>test:tester</ID><DisplayName>test:tester</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Version></ListVersionsResult>`,
	"nothing": `<ListVersionsResult></ListVersionsResult>`,
}

// slowVersions reads a listing with encoding/xml, and leaves out what nobody asks for.
func slowVersions(text string) (*versionListing, error) {
	l := new(versionListing)
	err := xml.Unmarshal([]byte(text), l)
	all := l.Others
	l.XMLName, l.Others = xml.Name{}, nil
	for _, v := range all {
		if v.XMLName.Local == "Version" || v.XMLName.Local == "DeleteMarker" {
			v.XMLName.Space = ""
			l.Others = append(l.Others, v)
		}
	}
	return l, err
}

func sameVersions(quick, slow *versionListing) string {
	if len(quick.Others) == 0 {
		quick.Others = nil
	}
	return cmp.Diff(slow, quick)
}

// TestVersionsAreReadQuickly: what servers write is not left to encoding/xml, and means the same.
func TestVersionsAreReadQuickly(t *testing.T) {
	t.Parallel()
	for name, text := range versionListings {
		quick, ok := (&scanner{text: []byte(text)}).versions()
		if !ok {
			t.Errorf("%s: the scanner gives up", name)
			continue
		}
		slow, err := slowVersions(text)
		if diff := sameVersions(quick, slow); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestVersionScannerIsRight: whatever the scanner accepts, encoding/xml accepts and understands alike.
func TestVersionScannerIsRight(t *testing.T) {
	t.Parallel()
	pieces := []string{"<", ">", "/", "&", ";", "&lt;", "&nbsp;", "]]>", "<!--", "<![CDATA[", " ", "\x01", "'", "x:", "<Key>", "</Key>", "<Key/>", "<Version>", "</Version>", "<Version/>",
		"<DeleteMarker>", "</DeleteMarker>", "<Owner>", "</Owner>", "<Owner/>", "<ID>", "</ID>", "<a>", "</a>", "<CommonPrefixes>", "<ListVersionsResult>", "</ListVersionsResult>", "true", "ü", "\xff"}
	var whole []string
	for _, text := range versionListings {
		whole = append(whole, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(whole).Draw(t, "answer")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			to := rapid.IntRange(at, min(len(text), at+rapid.SampledFrom([]int{0, 0, 1, 6, 40}).Draw(t, "cut"))).Draw(t, "to")
			text = text[:at] + rapid.SampledFrom(pieces).Draw(t, "piece") + text[to:]
		}
		quick, ok := (&scanner{text: []byte(text)}).versions()
		if !ok {
			return
		}
		slow, err := slowVersions(text)
		if err != nil {
			t.Fatalf("accepted, but %v:\n%s", err, text)
		}
		if diff := sameVersions(quick, slow); diff != "" {
			t.Fatalf("%s\n%s", text, diff)
		}
	})
}
