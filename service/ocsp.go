package service

import (
	"context"
	"crypto/sha256"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/ocsp"
)

// ocspPath is where the status of certificates is asked for, below [admin].
const ocspPath = "/ca/" + ca.OCSP

// delegateRenewal is how long before its end a delegate is replaced.
const delegateRenewal = 3 * 24 * time.Hour

// withOCSP answers what is asked at ocspPath while the configuration says so, and has all
// else answered by next.
func (s *Service) withOCSP(next http.Handler) http.Handler {
	responder := s.ocspServer().Below(ocspPath, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.answersOCSP() {
			responder.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answersOCSP reports whether the configuration in use has the status of certificates
// answered.
func (s *Service) answersOCSP() bool {
	p, release := s.use()
	defer release()
	return p.authorities != nil && p.Config.CA.OCSP
}

// ocspServer answers for the authorities in use.
func (s *Service) ocspServer() *ocsp.Server {
	delegates := &delegates{clock: s.options.Clock, made: map[[sha256.Size]byte]ocsp.Delegate{}}
	return ocsp.New(ocsp.Server{
		Clock: s.options.Clock, Log: s.log,
		Count: func(result string) { s.metrics.OCSP.WithLabelValues(result).Inc() },
		Authorities: func() ([]ocsp.Authority, time.Duration, func()) {
			p, release := s.use()
			if p.authorities == nil {
				return nil, 0, release
			}
			return p.authorities.ocsp(delegates), p.Config.CA.OCSPValidity, release
		},
	})
}

// ocsp are the authorities that issue or did. The root answers for none: its key is for
// lists alone.
func (a *Authorities) ocsp(d *delegates) (list []ocsp.Authority) {
	for _, h := range a.all {
		if h.Authority == nil || h.Name == ca.Root {
			continue
		}
		list = append(list, ocsp.Authority{
			Certificate: h.Certificate,
			Delegate:    func() (ocsp.Delegate, error) { return d.of(h.Authority) },
			Status: func(ctx context.Context, serial *big.Int) (s ocsp.Status, err error) {
				s.Known, s.RevokedAt, s.Reason, err = a.store.Status(ctx, h.Certificate.RawSubject, serial)
				return s, err
			},
		})
	}
	return list
}

// delegates sign OCSP responses for authorities. They are in memory alone, and each node
// has its own: what is lost is made again.
type delegates struct {
	clock func() time.Time

	mu   sync.Mutex
	made map[[sha256.Size]byte]ocsp.Delegate // by the certificate of the authority
}

// of returns the delegate of an authority, and makes another one in time.
func (d *delegates) of(a *ca.Authority) (ocsp.Delegate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	of, now := sha256.Sum256(a.Config.Certificate.Raw), d.clock()
	have, ok := d.made[of]
	if ok && now.Before(have.Certificate.NotAfter.Add(-delegateRenewal)) && now.After(have.Certificate.NotBefore) {
		return have, nil
	}
	cert, key, err := a.Delegate()
	switch {
	case err == nil:
		have = ocsp.Delegate{Certificate: cert, Key: key}
		d.made[of] = have
	case ok && now.Before(have.Certificate.NotAfter):
		err = nil // it serves to its end
	}
	return have, err
}
