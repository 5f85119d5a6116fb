package directory

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// storeTimeout bounds the wait for a store that is silent: the sources behind it
// are to be asked too.
const storeTimeout = 2 * time.Second

// Stored is a Source over certificates of some origins in the store.
type Stored struct {
	Plain

	name    string
	store   *store.Store
	origins []store.Origin
}

// NewStored returns a source over the certificates in st that are of one of the
// origins. Where imported ones are among them, so are those that were allowed by
// hand, whatever their origin. It does not close st.
func NewStored(name string, st *store.Store, origins ...store.Origin) *Stored {
	return &Stored{name: name, store: st, origins: origins}
}

// Name returns the configured name.
func (s *Stored) Name() string { return s.name }

// Find returns the certificates that name addr, and what came with them.
func (s *Stored) Find(ctx context.Context, addr address.Address) (Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// Of most addresses there is nothing, and that is the cheaper question.
	if version, err := s.store.AddressVersion(ctx, addr); err != nil || version == 0 {
		return Finding{}, err
	}
	entries, err := s.store.Find(ctx, store.Query{Address: &addr, Chain: true})
	if err != nil {
		return Finding{}, err
	}
	var f Finding
	for _, e := range entries {
		if !s.serves(e) {
			continue
		}
		f.Certificates = append(append(f.Certificates, e.Certificate), e.Chain...)
		if e.BlockedAt(time.Now()) {
			f.refuse(e.Certificate, e.Note)
		}
	}
	return f, nil
}

// refuse notes that a certificate is blocked. The marks of the store reach the Checker some time
// after they are set, and a certificate that came with its mark must not be used until then.
func (f *Finding) refuse(c *x509.Certificate, note string) {
	if f.Refused == nil {
		f.Refused = map[*x509.Certificate]*certs.Problem{}
	}
	f.Refused[c] = certs.RefuseBlocked(c, note)
}

func (s *Stored) serves(e store.Entry) bool {
	return slices.Contains(s.origins, e.Origin) || e.Mark == store.Allowed && slices.Contains(s.origins, store.Imported)
}

// Version changes when the store's certificates do: at once where this process
// changed them; what others did counts when the process next asked the store for
// a generation, as the gateway does all the time.
func (s *Stored) Version() uint64 { return uint64(s.store.Latest()) }

// VersionFor changes when the certificates that name addr do.
func (s *Stored) VersionFor(ctx context.Context, addr address.Address) (version uint64, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	version, err = s.store.AddressVersion(ctx, addr)
	return version, true, err
}
