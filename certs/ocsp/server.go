// Package ocsp answers whether certificates of the built-in authority are revoked (RFC
// 6960), by HTTP. Answers are signed when they are asked for, by a delegate of the authority,
// so that a nonce (RFC 9654) can be in them and a revocation counts at once; how many are
// signed at the same time is bounded.
package ocsp

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

const (
	// signedAtOnce bounds the signatures that are made at the same time, and patience how
	// long a client waits for its turn.
	signedAtOnce = 4
	patience     = time.Second
	// cached is for how long a proxy may keep an answer without a nonce: a revocation is
	// then known after that at the latest.
	cached = 5 * time.Minute
	// backdate serves clients whose clocks are slow.
	backdate = 5 * time.Minute
)

// Delegate signs for an authority (RFC 6960 section 4.2.2.2).
type Delegate struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Status is what is known of a certificate.
type Status struct {
	// Known says that the authority issued it.
	Known bool
	// RevokedAt is zero for one that is not revoked, Reason a number of RFC 5280 section
	// 5.3.1.
	RevokedAt time.Time
	Reason    int
}

// Authority is one of those whose certificates are answered for.
type Authority struct {
	Certificate *x509.Certificate
	// Delegate returns who signs for it now.
	Delegate func() (Delegate, error)
	// Status finds what is known of a certificate of it.
	Status func(ctx context.Context, serial *big.Int) (Status, error)
}

// Server answers. It may be used by many goroutines at once.
type Server struct {
	// Authorities returns those that there are now, none answers for none, and how long an
	// answer counts. release ends their use.
	Authorities func() (list []Authority, validity time.Duration, release func())
	// Count receives the result of each request: a word of docs/metrics.md.
	Count func(result string)
	Clock func() time.Time
	Log   *slog.Logger

	turns chan struct{}
}

// New returns a Server.
func New(s Server) *Server {
	s.turns = make(chan struct{}, signedAtOnce)
	return &s
}

// Below answers what is asked at prefix, and has all else answered by next. It comes before
// any mux: base64 in a path may have two slashes in a row, which a mux takes for one.
func (s *Server) Below(prefix string, next http.Handler) http.Handler {
	answers := http.StripPrefix(prefix, s)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
		if !ok || rest != "" && rest[0] != '/' {
			next.ServeHTTP(w, r)
			return
		}
		answers.ServeHTTP(w, r)
	})
}

// ServeHTTP answers POST with a request as its body, and GET with one in base64 as what
// follows the prefix "/" of the path (RFC 6960 appendix A.1).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var der []byte
	var err error
	switch r.Method {
	case http.MethodGet:
		der, err = fromPath(r.URL)
	case http.MethodPost:
		der, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
		return
	}
	if err != nil {
		der = nil // a malformed request
	}
	answer, lasts := s.answer(r.Context(), der)
	w.Header().Set("Content-Type", "application/ocsp-response")
	if r.Method == http.MethodGet && lasts {
		w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", int(cached.Seconds())))
	} else {
		w.Header().Set("Cache-Control", "no-store")
	}
	_, _ = w.Write(answer) //nolint:gosec // G705: DER, of its own media type; a client that has gone needs none
}

// fromPath reads the request in a path. Clients differ in what of base64 they escape.
func fromPath(u *url.URL) ([]byte, error) {
	text := strings.TrimPrefix(u.EscapedPath(), "/")
	if len(text) > 2*maxRequest {
		return nil, errMalformed
	}
	text, err := url.PathUnescape(text)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// The results that Count receives.
const (
	resultGood         = "good"
	resultRevoked      = "revoked"
	resultUnknown      = "unknown"
	resultMalformed    = "malformed"
	resultUnauthorized = "unauthorized"
	resultBusy         = "busy"
	resultFailed       = "failed"
)

// answer returns an OCSPResponse; lasts says that it is good for others who ask the same.
func (s *Server) answer(ctx context.Context, der []byte) (answer []byte, lasts bool) {
	r, err := parse(der)
	if err != nil {
		s.Count(resultMalformed)
		return failure(malformed), false
	}
	list, validity, release := s.Authorities()
	defer release()
	for i := range list {
		if list[i].issued(r.ids[0]) {
			return s.answerFor(ctx, &list[i], r, validity)
		}
	}
	s.Count(resultUnauthorized)
	return failure(unauthorized), false
}

// issued reports whether a name is that of a certificate of the authority.
func (a *Authority) issued(id pkix.CertID) bool {
	return id.OfIssuer(a.Certificate.RawSubject, a.Certificate.RawSubjectPublicKeyInfo)
}

func (s *Server) answerFor(ctx context.Context, a *Authority, r request, validity time.Duration) ([]byte, bool) {
	now := s.Clock().UTC().Truncate(time.Second)
	out := response{nonce: r.nonce, produced: now, thisUpdate: now.Add(-backdate), next: now.Add(validity)}
	result := resultGood
	for _, id := range r.ids {
		one := single{id: id}
		if a.issued(id) {
			var err error
			if one.Status, err = a.Status(ctx, id.Number()); err != nil {
				return s.failed(err)
			}
		}
		switch {
		case !one.Known:
			result = resultUnknown
		case !one.RevokedAt.IsZero():
			result = resultRevoked
			if one.RevokedAt.After(out.thisUpdate) {
				out.thisUpdate = one.RevokedAt.UTC()
			}
		}
		out.singles = append(out.singles, one)
	}
	if !s.turn(ctx) {
		s.Count(resultBusy)
		return failure(tryLater), false
	}
	defer func() { <-s.turns }()
	var err error
	if out.by, err = a.Delegate(); err != nil {
		return s.failed(err)
	}
	if end := out.by.Certificate.NotAfter; out.next.After(end) {
		out.next = end
	}
	der, err := out.sign()
	if err != nil {
		return s.failed(err)
	}
	s.Count(result)
	return der, r.nonce == nil
}

// turn waits for the turn to sign; it must be ended if there is one.
func (s *Server) turn(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// failed logs why there is no answer: the client may ask again.
func (s *Server) failed(err error) ([]byte, bool) {
	s.Count(resultFailed)
	s.Log.Warn("OCSP request could not be answered", "error", err)
	return failure(tryLater), false
}
