package history

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

// openStore opens an empty history in a file, and returns a recipient for its rows.
func openStore(t *testing.T) (*Store, address.Address) {
	t.Helper()
	s, err := Open(context.Background(), Place{Path: filepath.Join(t.TempDir(), "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	to, err := address.Parse("recipient@example.net")
	if err != nil {
		t.Fatal(err)
	}
	return s, to
}
