package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/enrol/scep"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// scepHandler serves SCEP for the built-in CA of the parts in use, where est.scep_address is
// set.
func (s *Service) scepHandler() http.Handler {
	protocol := &scep.Server{Log: s.log, CA: s.scepCA}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, release := s.use()
		on := p.Config.EST.SCEP != ""
		release()
		if !on {
			http.NotFound(w, r)
			return
		}
		protocol.ServeHTTP(w, r)
	})
}

func (s *Service) scepCA() (scep.CA, func(), error) {
	p, release := s.use()
	ra, err := address.Parse(p.Config.EST.SCEP)
	if err == nil && p.authorities == nil {
		err = ErrNoAuthority
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return scepCA{requestCA{p.authorities, s.log}, ra, p.store.Keys()}, release, nil
}

// scepCA issues to clients of SCEP. The identity of an address of its own acts for the CA
// (RA): the key of the CA itself decrypts nothing that strangers send.
type scepCA struct {
	requestCA
	ra   address.Address
	keys certs.Keys
}

// RA implements scep.CA.
func (ca scepCA) RA(ctx context.Context) (*certs.Identity, []*x509.Certificate, error) {
	id, err := ca.keys.Signing(ctx, ca.ra)
	if err != nil {
		return nil, nil, err
	}
	list := ca.authorities()
	if id == nil || !slices.ContainsFunc(list, func(c *x509.Certificate) bool { return pkix.SignedBy(id.Certificate, c, false) }) {
		return nil, nil, fmt.Errorf("%s has no certificate of the CA yet; see smimerelay enrol show %s", ca.ra, ca.ra)
	}
	return id, list, nil
}

// Keys implements scep.CA: no key but those of the RA is used for what clients send.
func (ca scepCA) Keys(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	list, err := ca.keys.Decryption(ctx, rid)
	return slices.DeleteFunc(slices.Clone(list), func(id *certs.Identity) bool {
		named := certs.Addresses(id.Certificate)
		return len(named) != 1 || !ca.store.Same(named[0], ca.ra)
	}), err
}

// Enroll implements scep.CA. The challenge password is the secret of an invitation; the
// request says for which address.
func (ca scepCA) Enroll(ctx context.Context, r scep.Request) (*x509.Certificate, error) {
	user := ""
	if named := builtin.Named(r.CSR); len(named) > 0 {
		user = named[0] // that the others are the same is checked with the request
	}
	cert, err := ca.enroll(ctx, r.Renews, user, r.Challenge, r.CSR)
	if errors.Is(err, builtin.ErrUnknown) {
		err = errors.Join(scep.ErrUnauthorized, err)
	}
	return cert, err
}
