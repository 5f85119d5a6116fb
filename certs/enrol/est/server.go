package est

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// base is where the operations are (RFC 7030 section 3.2.2).
const base = "/.well-known/est/"

// maxRequest bounds a request, in octets of base64.
const maxRequest = 64 << 10

// ErrUnauthorized is the error of a CA that does not know the client.
var ErrUnauthorized = errors.New("the client is not known")

// Request is what a client asks a CA for.
type Request struct {
	// CSR is the request; its signature was verified.
	CSR *x509.CertificateRequest
	// User and Secret are those of HTTP authentication; "" without.
	User, Secret string
	// Client is the certificate with which the client authenticated TLS; nil without. That
	// it has the key is known, and no more.
	Client *x509.Certificate
	// Renew asks for a certificate in place of Client.
	Renew bool
}

// CA issues. Its errors are ErrUnauthorized, an enrol.Refusal, whose text the client
// gets, or others, which are temporary.
type CA interface {
	// CACerts returns the authorities, the root among them.
	CACerts(ctx context.Context) ([]*x509.Certificate, error)
	// Enroll returns the certificate.
	Enroll(ctx context.Context, r Request) (*x509.Certificate, error)
	// ServerKey returns an identity whose key the server has; or ErrNoServerKeys.
	ServerKey(ctx context.Context, r Request) (*certs.Identity, error)
}

// Server answers clients. It must be reached by TLS alone, and ask for, but not insist on,
// the certificates of clients.
type Server struct {
	// CA is asked for each request; an error is temporary.
	CA  func() (CA, func(), error)
	Log *slog.Logger
}

// Handler serves the operations of RFC 7030 section 4.1, 4.2, 4.4 and 4.5.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+opCACerts, s.caCerts)
	mux.HandleFunc("GET "+base+opAttrs, s.attributes)
	mux.HandleFunc("POST "+base+opEnroll, func(w http.ResponseWriter, r *http.Request) { s.enroll(w, r, false) })
	mux.HandleFunc("POST "+base+opReenroll, func(w http.ResponseWriter, r *http.Request) { s.enroll(w, r, true) })
	mux.HandleFunc("POST "+base+opKeygen, s.keygen)
	return mux
}

func (s *Server) caCerts(w http.ResponseWriter, r *http.Request) {
	a, release, err := s.CA()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	list, err := a.CACerts(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.bundle(w, r, list...)
}

// attributes names the kind of signature and key that clients do well to use; RFC 8951
// section 3.1 has the identifiers.
func (s *Server) attributes(w http.ResponseWriter, _ *http.Request) {
	der, err := asn1.Marshal([]asn1.ObjectIdentifier{oidEC, oidRSA})
	if err != nil {
		http.Error(w, "no attributes", http.StatusInternalServerError)
		return
	}
	write(w, typeAttrs, der)
}

func (s *Server) enroll(w http.ResponseWriter, r *http.Request, renew bool) {
	csr, ok := readRequest(w, r)
	if !ok {
		return
	}
	request := Request{CSR: csr, Renew: renew}
	request.User, request.Secret, _ = r.BasicAuth()
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		request.Client = r.TLS.PeerCertificates[0]
	}
	a, release, err := s.CA()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	cert, err := a.Enroll(r.Context(), request)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.bundle(w, r, cert)
}

// readRequest reads a CSR whose sender has its key, or answers why not.
func readRequest(w http.ResponseWriter, r *http.Request) (*x509.CertificateRequest, bool) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != typePKCS10 {
		http.Error(w, "send "+typePKCS10, http.StatusUnsupportedMediaType)
		return nil, false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request is too long", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	der, err := decode(text)
	if err != nil {
		http.Error(w, "the request is not base64", http.StatusBadRequest)
		return nil, false
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = pkix.CheckRequest(csr)
	}
	if err != nil {
		http.Error(w, "the request is no PKCS #10 request, or its signature is wrong", http.StatusBadRequest)
		return nil, false
	}
	return csr, true
}

// fail answers an error: only that of a refusal is shown.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal := new(enrol.Refusal)
	s.Log.InfoContext(r.Context(), "EST request not served", "client", r.RemoteAddr, "error", err)
	switch {
	case errors.Is(err, ErrNoServerKeys):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	case errors.Is(err, ErrUnauthorized):
		w.Header().Set("WWW-Authenticate", `Basic realm="estrealm"`)
		http.Error(w, "authenticate with the address and the secret that was made for it, or with its certificate", http.StatusUnauthorized)
	case errors.As(err, &refusal):
		http.Error(w, refusal.Error(), http.StatusBadRequest)
	default:
		w.Header().Set("Retry-After", "300")
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	}
}

func (s *Server) bundle(w http.ResponseWriter, r *http.Request, list ...*x509.Certificate) {
	der, err := file.EncodeBundle(list)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	write(w, typePKCS7+"; smime-type=certs-only", der)
}

// write answers DER in base64 (RFC 8951 section 2.1).
func write(w http.ResponseWriter, media string, der []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Transfer-Encoding", "base64")
	_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString(der)+"\n") // who hung up asks again
}
