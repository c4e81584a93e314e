package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// Config says where a store is and how to reach it. The zero value is Amazon S3 with the
// credentials and region of the environment.
type Config struct {
	Endpoint  string // URL, or host[:port] (then https); empty: the environment's or profile's, else Amazon's
	Region    string // empty: that of the environment or profile, else us-east-1; a bucket's own region is learned
	Profile   string // of the shared AWS configuration files; empty: AWS_PROFILE or "default"
	Anonymous bool   // send unsigned requests
	// CredentialsFile is read instead of the shared credentials file. It goes with Profile: without one, keys of the environment win.
	CredentialsFile string

	PathStyle *bool  // bucket in the path, not in the host name; nil: as the endpoint needs it
	CABundle  string // PEM file of the certificate authorities to trust; empty: AWS_CA_BUNDLE, else the system's
	Proxy     string // URL; empty: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment

	// Vendor is one of Vendors, whose ways are taken for the store's whatever its address and answers
	// tell; empty: found out.
	Vendor string
	// CustomerKey returns the key of SSE-C that an object is encrypted with, or shall be when it is
	// written; nil: none. It is asked for every request about an object, by many goroutines. It makes
	// requests over plain HTTP impossible, so leave it nil where no object has a key.
	CustomerKey func(bucket, key string) *[32]byte
	// KeyName says in messages where the key of an object came from; nil: nowhere in particular.
	KeyName func(bucket, key string) string

	MaxAttempts      int           // of requests that may be repeated; 0: 5; 1: never repeat
	ConnectTimeout   time.Duration // for the TCP connection, and again for TLS; 0: 10 s
	FirstByteTimeout time.Duration // from the last byte sent to the first one back; 0: 60 s
	StallTimeout     time.Duration // without any byte sent or received (while sending it may take twice that to be noticed); 0: 30 s
	MaxConns         int           // connections, and requests at once; more requests wait; 0: 256
	// RepeatFor bounds the repeats: none is sent later than that after the first attempt began, or than a few seconds
	// (refusals that come at once are repeated in any case). It is asked for each request; nil: only MaxAttempts counts.
	RepeatFor func() time.Duration

	Log *slog.Logger // nil: none
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.ConnectTimeout, 10*time.Second)
	set(&c.FirstByteTimeout, 60*time.Second)
	set(&c.StallTimeout, 30*time.Second)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 5
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 256
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store is one endpoint with one set of credentials. It is safe for concurrent use and has
// nothing to close but its idle connections.
type Store struct {
	backend.Unsupported // what is not implemented here

	client *awss3.Client
	conn   *conn
	log    *slog.Logger
	first  time.Duration // Config.FirstByteTimeout
	repeat [repeatEnd]aws.Retryer
	lasts  func() time.Duration // Config.RepeatFor

	fixed  bool                   // the configuration or the endpoint's name told the vendor: answers do not change it
	vendor atomic.Pointer[vendor] // never nil

	region      string                  // the client's
	credentials aws.CredentialsProvider // nil: requests are not signed
	signer      *v4.Signer
	skew        atomic.Int64 // what is added to our clock for signatures, in nanoseconds
	places      sync.Map     // placeKey -> *place

	regions  sync.Map // bucket -> region (string), where it is not the client's
	versions sync.Map // bucket -> whether it keeps versions (bool), as far as it was asked
	pending  sync.Map // upload id -> what its object shall have (backend.Properties), on stores that forget it
	keys     keys
	locks    sync.Map // bucket -> its lock (backend.BucketLock), as it was when last asked for
}

var _ backend.Store = (*Store)(nil)

// Open makes a Store. It sends no request to the endpoint (credentials may be asked for over
// the network). A configuration that cannot work is KindInvalid, bad credential files are
// KindCredentials.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	endpoint, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, invalid("Open", err)
	}
	load, err := loadOptions(cfg)
	if err != nil {
		return nil, invalid("Open", err)
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindCredentials, Op: "Open", Err: err}
	}
	pinned, err := vendorNamed(cfg.Vendor)
	if err != nil {
		return nil, invalid("Open", err)
	}
	if cfg.Anonymous {
		loaded.Credentials = aws.AnonymousCredentials{}
	} else if loaded.Credentials != nil {
		loaded.Credentials = aws.NewCredentialsCache(credentials{loaded.Credentials})
	}
	return open(cfg, loaded, endpoint, pinned)
}

// open makes a Store of what was loaded. pinned is nil where the vendor is to be found out.
func open(cfg Config, loaded aws.Config, endpoint string, pinned *vendor) (*Store, error) {
	transport, err := transportOf(loaded, cfg)
	if err != nil {
		return nil, invalid("Open", err)
	}
	if loaded.Region == "" {
		loaded.Region = "us-east-1"
	}
	s := &Store{log: cfg.Log, first: cfg.FirstByteTimeout, repeat: retryers(cfg.MaxAttempts), lasts: cfg.RepeatFor, region: loaded.Region, signer: newSigner()}
	if !cfg.Anonymous {
		s.credentials = loaded.Credentials
	}
	s.vendor.Store(unknownVendor)
	s.conn = &conn{
		transport: transport, slots: make(chan struct{}, cfg.MaxConns), stall: cfg.StallTimeout, first: cfg.FirstByteTimeout, seen: s.recognise,
		last: func(method string) bool { return method == http.MethodHead && s.vendor.Load().headsTrail },
	}
	s.client = awss3.NewFromConfig(loaded, func(o *awss3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		host := ""
		if o.BaseEndpoint != nil {
			host = hostOf(*o.BaseEndpoint)
		}
		if v := cmp.Or(pinned, vendorOfHost(host)); v != nil {
			s.fixed = true
			s.vendor.Store(v)
		}
		o.UsePathStyle = pathStyle(host)
		if cfg.PathStyle != nil {
			o.UsePathStyle = *cfg.PathStyle
		}
		o.HTTPClient = s.conn
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		o.Retryer = s.repeat[repeatRefused]
		if s.vendor.Load().name != vendorAWS {
			o.ContinueHeaderThresholdBytes = -1 // a round trip more for each part
			o.DisableS3ExpressSessionAuth = aws.Bool(true)
		}
		o.APIOptions = append(o.APIOptions, commonMiddleware(s.vendor.Load())...)
	})
	s.keys.of, s.keys.name, s.keys.trying = cfg.CustomerKey, cfg.KeyName, make(chan struct{}, 1)
	if base := s.client.Options().BaseEndpoint; base != nil && strings.HasPrefix(strings.ToLower(*base), "http:") {
		s.keys.plain = true
		if s.keys.of != nil {
			return nil, invalid("Open", fmt.Errorf("keys of SSE-C are sent over https only, and the endpoint is %s", *base))
		}
	}
	return s, nil
}

// Close drops idle connections. Requests in flight are not ended.
func (s *Store) Close() error {
	s.conn.transport.CloseIdleConnections()
	return nil
}

// Endpoint returns the host of a custom endpoint, or "s3.amazonaws.com": it tells stores
// apart in names of caches and journals.
func (s *Store) Endpoint() string {
	if base := s.client.Options().BaseEndpoint; base != nil {
		return hostPortOf(*base)
	}
	return "s3.amazonaws.com"
}

// parseEndpoint returns the URL of an endpoint, without a path.
func parseEndpoint(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return "", fmt.Errorf("endpoint: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("endpoint %q: scheme %q is neither http nor https", endpoint, u.Scheme)
	case u.Hostname() == "":
		return "", fmt.Errorf("endpoint %q names no host", endpoint)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("endpoint: only scheme, host, port and path are possible")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String(), nil
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

func hostPortOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return strings.ToLower(u.Host)
}

// virtualHosts are the domains whose servers want, or demand, the bucket in the host name.
var virtualHosts = []string{"amazonaws.com", "amazonaws.com.cn", "aliyuncs.com", "myqcloud.com", "volces.com"}

// pathStyle reports whether the bucket goes into the path. host is empty for Amazon's own
// addresses. Nearly every other server understands paths; few have the wildcard DNS names
// and certificates that host names need.
func pathStyle(host string) bool {
	if host == "" {
		return false
	}
	for _, domain := range virtualHosts {
		if inDomain(host, domain) {
			return false
		}
	}
	return true
}

func inDomain(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// loadOptions are the options under which the SDK reads the environment and its files. Its
// own requests (for credentials) use the same proxy and authorities.
func loadOptions(cfg Config) ([]func(*config.LoadOptions) error, error) {
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = cfg.ConnectTimeout })
	if cfg.Proxy != "" {
		proxy, err := proxyFunc(cfg.Proxy)
		if err != nil {
			return nil, err
		}
		client = client.WithTransportOptions(func(t *http.Transport) { t.Proxy = proxy })
	}
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(client)}
	if cfg.CABundle != "" {
		pem, err := os.ReadFile(cfg.CABundle)
		if err != nil {
			return nil, fmt.Errorf("CA bundle: %w", err)
		}
		options = append(options, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.CredentialsFile != "" {
		options = append(options, config.WithSharedCredentialsFiles([]string{cfg.CredentialsFile}))
	}
	return options, nil
}

// proxyFunc sends everything through the proxy but what only this machine can reach: the
// credential services of clouds have link-local addresses.
func proxyFunc(proxy string) (func(*http.Request) (*url.URL, error), error) {
	u, err := url.Parse(proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return nil, errors.New("proxy: want a URL such as http://host:port")
	}
	return func(r *http.Request) (*url.URL, error) {
		if addr, err := netip.ParseAddr(r.URL.Hostname()); err == nil && addr.IsLinkLocalUnicast() {
			return nil, nil
		}
		return u, nil
	}, nil
}

// transportOf is the connection pool for the store: HTTP/1.1 (HTTP/2 would put all parts on
// one TCP connection), no decompression (it would change bytes), as many idle connections as
// may be open at all.
func transportOf(loaded aws.Config, cfg Config) (*http.Transport, error) {
	client, ok := loaded.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil, fmt.Errorf("unexpected HTTP client %T", loaded.HTTPClient)
	}
	t := client.GetTransport()
	dialer := client.GetDialer()
	dialer.Timeout = cfg.ConnectTimeout
	t.DialContext = dialer.DialContext
	t.TLSHandshakeTimeout = cfg.ConnectTimeout
	t.MaxConnsPerHost = cfg.MaxConns
	t.MaxIdleConnsPerHost = cfg.MaxConns
	t.MaxIdleConns = cfg.MaxConns
	t.IdleConnTimeout = 20 * time.Second // servers close idle ones too; meeting that half way loses a request
	t.DisableCompression = true
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t, nil
}

// credentials marks the errors of a provider, so that they can be told from others.
type credentials struct{ aws.CredentialsProvider }

type credentialsError struct{ error }

func (e *credentialsError) Unwrap() error { return e.error }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return got, &credentialsError{err}
	}
	return got, nil
}

func invalid(op string, err error) error {
	return &backend.Error{Kind: backend.KindInvalid, Op: op, Err: err}
}
