package service

import (
	"crypto/sha256"
	"crypto/x509"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/certs/publicroots"
	"github.com/smimerelay/smimerelay/internal/config"
)

// publicRoots reads the public authorities that the configuration trusts, with the
// times after which certificates of some of them do not count.
func (b *builder) publicRoots() ([]*x509.Certificate, map[[sha256.Size]byte]time.Time) {
	public := b.config.Trust.Public
	if public == "" {
		return nil, nil
	}
	list, err := readPublicRoots(public)
	if err != nil {
		b.complain("trust.public", err.Error(), `write "mozilla", or name a file made by smimerelay trust update`)
		return nil, nil
	}
	b.parts.outdatedRoots = b.clock().Sub(list.Date) > publicroots.MaxAge
	var roots []*x509.Certificate
	distrust := make(map[[sha256.Size]byte]time.Time)
	for _, r := range list.Roots {
		roots = append(roots, r.Certificate)
		if !r.DistrustAfter.IsZero() {
			distrust[sha256.Sum256(r.Certificate.Raw)] = r.DistrustAfter
		}
	}
	return roots, distrust
}

func readPublicRoots(public string) (*publicroots.List, error) {
	if public == config.PublicRoots {
		return publicroots.Mozilla()
	}
	data, err := os.ReadFile(config.Place(public))
	if err != nil {
		return nil, err
	}
	return publicroots.Read(data)
}
