package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxBody is how much a web service may answer, in octets.
const maxBody = 1 << 20

// defaultHTTPSTimeout bounds a request of an HTTPS source.
const defaultHTTPSTimeout = 5 * time.Second

// HTTPSConfig describes a web service that answers certificates.
type HTTPSConfig struct {
	// Name is "https:" and it in explanations.
	Name string
	// URL is a template: {addr}, {local} and {domain} stand for the recipient
	// in its path or query, percent-encoded. Plain http is for loopback only.
	URL string
	// CA is a PEM file with the only authorities that may have issued the
	// server's certificate; "" is those of the system.
	CA string
	// ClientCertificate and ClientKey are PEM files.
	ClientCertificate, ClientKey string
	// TokenFile holds a bearer token (RFC 6750), read at every request.
	TokenFile string
	// Timeout bounds one request.
	Timeout time.Duration
	// Clock is time.Now unless set.
	Clock func() time.Time
}

// HTTPS is a Source that asks a web service by GET. The answers 204, 404
// and 410 mean that there is no certificate, 200 that here it is (DER, PEM or
// certs-only CMS), and everything else that it is not known.
type HTTPS struct {
	Plain

	name      string
	template  string
	tokenFile string
	client    *http.Client
	breaker   breaker
}

// NewHTTPS returns an HTTPS source, or says everything that is wrong with cfg.
// It does not connect.
func NewHTTPS(cfg HTTPSConfig) (*HTTPS, error) {
	setDefault(&cfg.Timeout, defaultHTTPSTimeout)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	h := &HTTPS{name: "https:" + cfg.Name, template: cfg.URL, tokenFile: cfg.TokenFile}
	h.breaker.clock = cfg.Clock
	tlsConfig, errs := tlsConfig(cfg.CA, cfg.ClientCertificate, cfg.ClientKey)
	errs = append(errs, wrong("url", checkTemplate(cfg.URL), `write one such as "https://certs.example.com/{addr}"`))
	if cfg.TokenFile != "" {
		_, err := readPassword(cfg.TokenFile)
		errs = append(errs, wrong("token_file", err, "write the token into the file, and check who may read it"))
	}
	h.client = &http.Client{
		Timeout:   cfg.Timeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true},
		// The administrator named one service; it may not send us to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if err := joinNamed(h.name, errs); err != nil {
		return nil, err
	}
	return h, nil
}

// checkTemplate refuses what would let a recipient choose the server, and what
// would tell the recipients to everybody on the way.
func checkTemplate(template string) error {
	found := false
	for _, place := range places {
		found = found || strings.Contains(template, place)
	}
	if !found {
		return fmt.Errorf("url %q: does not contain the recipient", template)
	}
	u, err := url.Parse(fillURL(template, "a@b", "a", "b"))
	if err != nil {
		return err
	}
	if before, _, _ := strings.Cut(strings.TrimPrefix(template, u.Scheme+"://"), "/"); strings.Contains(before, "{") {
		return fmt.Errorf("url %q: the recipient may only be in the path or query", template)
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.User != nil: // which logs and explanations would repeat
		return errors.New("url: has a user or a password in it: a bearer token belongs into a file, which token_file names")
	case u.Host == "":
		return fmt.Errorf("url %q: no host", template)
	case u.Scheme == "https", u.Scheme == "http" && ip.IsLoopback():
		return nil
	}
	return fmt.Errorf("url %q: must be https", template)
}

// fillURL is the only place where a value gets into a URL.
func fillURL(template, addr, local, domain string) string {
	return strings.NewReplacer(
		"{addr}", percent(addr), "{local}", percent(local), "{domain}", percent(domain),
	).Replace(template)
}

// percent encodes everything but unreserved characters (RFC 3986 section 2.3).
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Name returns "https:" and the configured name.
func (h *HTTPS) Name() string { return h.name }

// Close closes idle connections.
func (h *HTTPS) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// Find returns the certificates that the service has for addr.
func (h *HTTPS) Find(ctx context.Context, addr address.Address) (Finding, error) {
	var f Finding
	err := h.breaker.guard(ill, func() (err error) {
		f, err = h.get(ctx, addr)
		return err
	})
	return f, err
}

func (h *HTTPS) get(ctx context.Context, addr address.Address) (Finding, error) {
	request, err := h.request(ctx, addr)
	if err != nil {
		return Finding{}, err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return Finding{}, withoutURL(err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return readBody(response.Body)
	case http.StatusNoContent, http.StatusNotFound, http.StatusGone:
		return Finding{}, nil
	}
	err = fmt.Errorf("service answered %s", response.Status)
	if response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests {
		err = answerError{err}
	}
	return Finding{}, err
}

// answerError is an error in an answer to one question, by a service that is
// well otherwise: no one must be able to silence it by a certain address.
type answerError struct{ error }

// ill reports errors of the service as a whole.
func ill(err error) bool {
	_, answered := errors.AsType[answerError](err)
	return err != nil && !answered
}

// withoutURL takes the error out of the one that repeats the URL: the address is
// logged beside it already.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (h *HTTPS) request(ctx context.Context, addr address.Address) (*http.Request, error) {
	whole := asciiForm(addr)
	target := fillURL(h.template, whole, addr.Local(), addr.Domain())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/pkix-cert, application/pkcs7-mime, application/pem-certificate-chain")
	if h.tokenFile != "" {
		token, err := readPassword(h.tokenFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}

// readBody parses by content: the types that services give are often wrong, and
// a page that is no certificate is an error whatever it calls itself.
func readBody(r io.Reader) (Finding, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return Finding{}, err
	}
	if len(body) > maxBody {
		return Finding{}, answerError{fmt.Errorf("answer over %d octets", maxBody)}
	}
	if bytes.Contains(body, []byte("-----BEGIN ")) {
		list, err := file.ParseCertificates(body)
		if err != nil {
			err = answerError{err} // also beside others that could be read
		}
		return Finding{Certificates: list}, err
	}
	found, problems := parseValue(body)
	if len(problems) > 0 {
		return found, answerError{errors.Join(problems...)}
	}
	return found, nil
}
