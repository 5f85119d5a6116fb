// Package acmetest is a certification authority that speaks ACME (RFC 8555) and makes sure
// of mail addresses by mail (RFC 8823), for tests. It is strict: what the RFCs forbid is an
// error of the test.
package acmetest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// Server is the authority. Its fields are set before it is asked for anything.
type Server struct {
	// URL is that of the directory, TrustFile the PEM file of its TLS certificate.
	URL, TrustFile string
	CA             *testpki.CA
	// From is who sends its messages, ReplyTo whom answers go to; "" is From.
	From, ReplyTo string
	// Mail receives each message that is to be sent. It must not block.
	Mail func(Message)
	// Terms is the URL of terms that must be accepted; "" is none. EAB are the keys of
	// external accounts, by their ID; with any, an account needs one.
	Terms string
	EAB   map[string][]byte
	// OnRequest sends the message only when the client posts to the challenge.
	OnRequest bool
	// Done is called when a request was carried out, before the answer to it.
	Done func(operation string)
	// Slow is how often a finalized order is "processing" before it is valid.
	Slow int

	tb   testing.TB
	http *httptest.Server

	mu       sync.Mutex
	refuse   map[string]string // operation to problem type
	requests map[string]int
	nonces   map[string]bool
	accounts map[string]*account
	orders   map[string]*order
	replies  int
	revoked  []*x509.Certificate
}

// account is one by its URL.
type account struct {
	url, print string
	key        *ecdsa.PublicKey
}

// order is one with its one authorization and that one's challenge.
type order struct {
	id, address, status string
	token1, token2      string
	challenge           string // its state
	problem             string
	account             *account
	certificate         []*x509.Certificate
	slow                int
	sent                bool
}

// New starts a Server, which ends with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, From: "acme-challenge@ca.example", CA: testpki.Must(testpki.NewCA(testpki.Options{Name: "ACME CA"})),
		refuse: map[string]string{}, requests: map[string]int{}, nonces: map[string]bool{}, accounts: map[string]*account{}, orders: map[string]*order{},
	}
	s.http = httptest.NewTLSServer(s.routes())
	tb.Cleanup(s.http.Close)
	s.URL = s.http.URL + "/directory"
	s.TrustFile = filepath.Join(tb.TempDir(), "acme-tls.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(s.TrustFile, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Refuse has an operation ("new-order", "finalize" ...) answered with a problem of a type,
// such as "rateLimited"; "" ends that.
func (s *Server) Refuse(operation, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[operation] = problem
}

// Requests is how often an operation was asked for.
func (s *Server) Requests(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[operation]
}

// Issued is how many certificates were issued, Replies how many answers came, Revoked what
// was revoked.
func (s *Server) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, o := range s.orders {
		if o.certificate != nil {
			n++
		}
	}
	return n
}

// Replies is how many answers came.
func (s *Server) Replies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replies
}

// Revoked are the certificates that were revoked.
func (s *Server) Revoked() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
}

// Accounts is how many accounts there are.
func (s *Server) Accounts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accounts)
}

// Expire makes all orders that are not valid invalid.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orders {
		if o.status != "valid" {
			o.status, o.problem = "invalid", "expired"
		}
	}
}

func random() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// routes are the operations.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", s.directory)
	mux.HandleFunc("HEAD /nonce", func(w http.ResponseWriter, _ *http.Request) { s.nonce(w) })
	for name, do := range map[string]func(*call) (int, any){
		"new-account": s.newAccount, "new-order": s.newOrder, "order": s.showOrder, "authorization": s.showAuthorization,
		"challenge": s.postChallenge, "finalize": s.finalize, "certificate": s.download, "revoke": s.revoke,
	} {
		h := func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, name, do) }
		mux.HandleFunc("POST /"+name, h)
		mux.HandleFunc("POST /"+name+"/{id}", h)
	}
	return mux
}

func (s *Server) at(operation, id string) string {
	if id == "" {
		return s.http.URL + "/" + operation
	}
	return fmt.Sprintf("%s/%s/%s", s.http.URL, operation, id)
}
