package directory

import (
	"context"
	"testing"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testpki"
)

func TestStored(t *testing.T) {
	ctx := context.Background()
	st := testpki.Must(store.Open(ctx, store.Config{}))
	defer st.Close()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	issue := func() *testpki.Identity {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}}))
	}
	imported, harvested := issue(), issue()
	testpki.Must(st.Put(ctx, store.Imported, store.New{Certificate: imported.Certificate}))
	byHand, learnt := NewStored("store", st, store.Imported, store.Issued), NewStored("harvested", st, store.Harvested)
	before := learnt.Version()
	testpki.Must(st.Put(ctx, store.Harvested, store.New{Certificate: harvested.Certificate}))
	if learnt.Version() == before {
		t.Error("a new certificate went unnoticed")
	}
	for _, c := range []struct {
		source *Stored
		want   *testpki.Identity
	}{{byHand, imported}, {learnt, harvested}} {
		f := testpki.Must(c.source.Candidates(ctx, addr(t, "A@example.com")))
		if len(f) != 1 || !f[0].Equal(c.want.Certificate) {
			t.Errorf("%s found %d", c.source.Name(), len(f))
		}
	}
}
