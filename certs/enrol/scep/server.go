package scep

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Path is where the server is.
const Path = "/scep"

// maxRequest bounds a request, in octets.
const maxRequest = 64 << 10

// serverCaps are what the server can (RFC 8894 section 3.5.2). Triple-DES and SHA-1 are not
// among them.
const serverCaps = "AES\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-256\nSHA-512\n"

// The values of failInfo that the server gives.
const (
	badMessageCheck = "1"
	badRequest      = "2"
	badCertID       = "4"
)

// ErrUnauthorized is the error of a CA that does not know the client.
var ErrUnauthorized = errors.New("the client is not known")

// Request is what a client asks a CA for.
type Request struct {
	// CSR is the request; its signature was verified.
	CSR *x509.CertificateRequest
	// Challenge is the challenge password; "" without.
	Challenge string
	// Renews is the certificate whose key signed a RenewalReq, nil otherwise. That the client
	// has the key is known, and no more.
	Renews *x509.Certificate
}

// CA issues. Its errors are ErrUnauthorized, an enrol.Refusal, or others, which are
// temporary.
type CA interface {
	// RA returns the identity that signs answers and is encrypted to, with an RSA key, and
	// the authorities above it.
	RA(ctx context.Context) (*certs.Identity, []*x509.Certificate, error)
	// Keys returns the identities, of now and of before, that rid names.
	Keys(ctx context.Context, rid cms.ID) ([]*certs.Identity, error)
	// Enroll returns the certificate.
	Enroll(ctx context.Context, r Request) (*x509.Certificate, error)
}

// Server answers clients. It decides at once: no request is pending.
type Server struct {
	// CA is asked for each request; an error is temporary.
	CA  func() (CA, func(), error)
	Log *slog.Logger
}

// ServeHTTP implements http.Handler (RFC 8894 section 4).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ca, release, err := s.CA()
	if err != nil {
		s.later(w, r, err)
		return
	}
	defer release()
	q := r.URL.Query()
	switch operation := q.Get("operation"); {
	case operation == opCaps && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, serverCaps)
	case operation == opCerts && r.Method == http.MethodGet:
		s.certificates(w, r, ca)
	case operation == opPKI && r.Method == http.MethodPost:
		der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the request is too long", http.StatusRequestEntityTooLarge)
			return
		}
		s.operation(w, r, ca, der)
	case operation == opPKI && r.Method == http.MethodGet:
		der, err := base64.StdEncoding.DecodeString(q.Get("message"))
		if err != nil {
			http.Error(w, "the message is not base64", http.StatusBadRequest)
			return
		}
		s.operation(w, r, ca, der)
	default:
		http.Error(w, "the operations are GetCACaps, GetCACert and PKIOperation", http.StatusBadRequest)
	}
}

// later answers an error that may pass.
func (s *Server) later(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.InfoContext(r.Context(), "SCEP request not served", "client", r.RemoteAddr, "error", err)
	w.Header().Set("Retry-After", "300")
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}

func (s *Server) certificates(w http.ResponseWriter, r *http.Request, ca CA) {
	ra, above, err := ca.RA(r.Context())
	if err == nil {
		var der []byte
		if der, err = file.EncodeBundle(append([]*x509.Certificate{ra.Certificate}, above...)); err == nil {
			w.Header().Set("Content-Type", typeRA)
			_, _ = w.Write(der)
			return
		}
	}
	s.later(w, r, err)
}

// operation answers a message: with another, or by HTTP where there is no one to answer to.
func (s *Server) operation(w http.ResponseWriter, r *http.Request, ca CA, der []byte) {
	m, err := parse(der, nil)
	if err == nil && len(m.sender) == 0 {
		err = errors.New("the message has no nonce")
	}
	if err != nil {
		s.Log.InfoContext(r.Context(), "SCEP request not served", "client", r.RemoteAddr, "error", err)
		http.Error(w, "not a SCEP message that is signed with SHA-256 or better", http.StatusBadRequest)
		return
	}
	ra, _, err := ca.RA(r.Context())
	if err != nil {
		s.later(w, r, err)
		return
	}
	by, ok := asParty(ra)
	if !ok {
		s.later(w, r, errRSA)
		return
	}
	answer, err := s.answer(r.Context(), ca, m)
	if err != nil {
		s.later(w, r, err)
		return
	}
	if answer.status == failure {
		s.Log.InfoContext(r.Context(), "SCEP request not served", "client", r.RemoteAddr, "error", answer.text)
	}
	text, err := answer.encode(by)
	if err != nil {
		s.later(w, r, err)
		return
	}
	w.Header().Set("Content-Type", typeMessage)
	_, _ = w.Write(text) //nolint:gosec // G705: DER, of a type that no browser shows
}

// asParty returns an identity as one who sends and receives messages, if its key is RSA.
func asParty(id *certs.Identity) (*party, bool) {
	key, ok := id.Key.(interface {
		crypto.Signer
		crypto.Decrypter
	})
	if !ok {
		return nil, false
	}
	_, ok = key.Public().(*rsa.PublicKey)
	return &party{id.Certificate, key}, ok
}

// answer decides. An error is temporary.
func (s *Server) answer(ctx context.Context, ca CA, m *message) (*message, error) {
	answer := &message{kind: certRep, transaction: m.transaction, sender: newNonce(), recipient: m.sender, status: failure}
	if _, ok := m.signer.PublicKey.(*rsa.PublicKey); !ok {
		answer.fail, answer.text = "0", "the key of the client is not RSA"
		return answer, nil
	}
	if m.kind != pkcsReq && m.kind != renewalReq {
		// What was asked for was answered at once.
		answer.fail, answer.text = badCertID, "nothing is pending"
		return answer, nil
	}
	request, ok, err := s.read(ctx, ca, m)
	if err != nil {
		return nil, err
	}
	if !ok {
		// One answer to all that cannot be read: another would show what decryption found.
		answer.fail, answer.text = badMessageCheck, "the request cannot be decrypted and read"
		return answer, nil
	}
	cert, err := ca.Enroll(ctx, *request)
	refusal := new(enrol.Refusal)
	switch {
	case errors.Is(err, ErrUnauthorized):
		answer.fail, answer.text = badRequest, "the challenge password is not one for the address, or the certificate is not valid"
		return answer, nil
	case errors.As(err, &refusal):
		answer.fail, answer.text = badRequest, refusal.Error()
		return answer, nil
	case err != nil:
		return nil, err
	}
	bundle, err := file.EncodeBundle([]*x509.Certificate{cert})
	if err != nil {
		return nil, err
	}
	answer.status = success
	answer.content, err = seal(bundle, m.signer)
	return answer, err
}

// read decrypts the request in a message. False: it cannot be read.
func (s *Server) read(ctx context.Context, ca CA, m *message) (*Request, bool, error) {
	var failed error
	der, err := m.openWith(func(rid cms.ID) []*party {
		ids, err := ca.Keys(ctx, rid)
		failed = errors.Join(failed, err)
		var list []*party
		for _, id := range ids {
			if p, ok := asParty(id); ok {
				list = append(list, p)
			}
		}
		return list
	})
	if failed != nil {
		return nil, false, failed
	}
	if err != nil {
		return nil, false, nil //nolint:nilerr // one answer to all that cannot be read
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || pkix.CheckRequest(csr) != nil {
		return nil, false, nil
	}
	request := &Request{CSR: csr, Challenge: challengeOf(csr)}
	if m.kind == renewalReq {
		request.Renews = m.signer
		return request, true, nil
	}
	// Section 2.3: the first request is signed by the key that it is for.
	return request, bytes.Equal(m.signer.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo), nil
}
