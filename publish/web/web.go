// Package web answers who asks for the certificate of one address by HTTPS.
package web

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/forwarded"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// path is where certificates are asked for, with the address in the query, percent-encoded.
const path = "/.well-known/smime-certificates"

// Results of a question, for a metric.
const (
	found   = "found"
	none    = "none"
	limited = "limited"
	refused = "refused" // it was no question for an address
	failed  = "failed"
)

// Published is what a server gives out at a time.
type Published struct {
	// Snapshot is nil until it has been made.
	Snapshot *publish.Snapshot
	// Match reports whether the certificates of an address are given out.
	Match func(address.Address) bool
	// PerMinute is how many questions one client may ask in a minute.
	PerMinute int
}

// Server answers clients.
type Server struct {
	// Published returns what is given out now.
	Published func() Published
	Limiter   *publish.Limiter
	// Count is called with the result of each question.
	Count func(result string)
	Log   *slog.Logger
}

// Handler serves GET and HEAD of /.well-known/smime-certificates.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.Count(s.answer(w, r)) })
	return mux
}

// answer answers a question. What is done is the same for an address with and without a
// certificate, and for one that is not published, but for the text that is sent.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) string {
	p := s.Published()
	if !s.Limiter.Allow(forwarded.Client(r, "X-Forwarded-For"), p.PerMinute) {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many questions; try again in a minute", http.StatusTooManyRequests)
		return limited
	}
	query := r.URL.Query()["address"]
	if len(query) != 1 {
		http.Error(w, "ask for one address: "+path+"?address=user@example.com", http.StatusBadRequest)
		return refused
	}
	a, err := address.Parse(query[0])
	if err != nil || a.IsNull() {
		http.Error(w, "this is no mail address", http.StatusBadRequest)
		return refused
	}
	if p.Snapshot == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return failed
	}
	entry, published := p.Snapshot.Find(a), p.Match(a)
	w.Header().Set("Cache-Control", "max-age=300")
	if published && p.Snapshot.Unknown(a) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", "60")
		http.Error(w, "the certificate of this address could not be checked, try again later", http.StatusServiceUnavailable)
		return failed
	}
	if entry == nil || !published {
		http.Error(w, "there is no certificate of this address", http.StatusNotFound)
		return none
	}
	w.Header().Set("Content-Type", "application/pem-certificate-chain") // RFC 8555 section 9.1
	w.Header().Set("X-Content-Type-Options", "nosniff")
	pem := file.EncodeCertificates(slices.Concat(entry.Certificates, entry.Chain))
	if _, err := io.Copy(w, bytes.NewReader(pem)); err != nil {
		s.Log.DebugContext(r.Context(), "answer to a request for a certificate not sent", "client", r.RemoteAddr, "error", err)
	}
	return found
}
