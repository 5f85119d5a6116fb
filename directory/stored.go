package directory

import (
	"context"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/address"
)

// pollStore is how soon changes by other processes are noticed.
const pollStore = time.Second

// Stored is a certs.Source over certificates of some origins in the store.
type Stored struct {
	name    string
	store   *store.Store
	origins []store.Origin
	asked   atomic.Int64 // when the store was last asked for its generation
}

// NewStored returns a source over the certificates in st that are of one of the
// origins. Where imported ones are among them, so are those that were allowed by
// hand, whatever their origin. It does not close st.
func NewStored(name string, st *store.Store, origins ...store.Origin) *Stored {
	return &Stored{name: name, store: st, origins: origins}
}

// Name returns the configured name.
func (s *Stored) Name() string { return s.name }

// Candidates returns the certificates that name addr, and what came with them.
func (s *Stored) Candidates(ctx context.Context, addr address.Address) ([]*x509.Certificate, error) {
	entries, err := s.store.Find(ctx, store.Query{Address: &addr, Chain: true})
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, e := range entries {
		if s.serves(e) {
			list = append(list, e.Certificate)
			list = append(list, e.Chain...)
		}
	}
	return list, nil
}

func (s *Stored) serves(e store.Entry) bool {
	return slices.Contains(s.origins, e.Origin) || e.Mark == store.Allowed && slices.Contains(s.origins, store.Imported)
}

// Version changes when the store's certificates do: at once where this process
// changed them, within pollStore where another did. While the store does not
// answer it stays.
func (s *Stored) Version() uint64 {
	now, asked := time.Now().UnixNano(), s.asked.Load()
	if now-asked >= int64(pollStore) && s.asked.CompareAndSwap(asked, now) {
		// Its error is not lost: whatever it found changed is asked for again,
		// and then it is told.
		_, _ = s.store.Generation(context.Background())
	}
	return uint64(s.store.Latest())
}
