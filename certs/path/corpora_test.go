package path

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// TestCorpora reads every file that others have made as certificates, identity
// and revocation list, and judges what it finds: nothing may panic or take long,
// and nothing is trusted below no trust anchor.
func TestCorpora(t *testing.T) {
	v := newValidator(t, Config{Revocation: certs.RevocationPrefer})
	found, keys, lists := 0, 0, 0
	err := filepath.WalkDir(corpora.Dir(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		certificates, _ := file.ParseCertificates(data)
		for _, c := range certificates {
			found++
			got := v.Check(t.Context(), c, certs.Request{Purpose: certs.ForSigning, Intermediates: certificates, CRLs: [][]byte{data}})
			if got.Result == certs.Pass {
				t.Errorf("%s: %v is trusted", path, c.Subject)
			}
		}
		if c, err := file.ParseContents(data, "password"); err == nil {
			keys += len(c.Identities)
			certs.NewKeys(nil, c.Identities...)
		}
		if _, err := revocation.ParseList(data); err == nil {
			lists++
		} else if _, std := x509.ParseRevocationList(data); std == nil && !errors.Is(err, revocation.ErrUnsupported) {
			t.Errorf("%s: crypto/x509 reads this list: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("corpora: %d certificates, %d identities, %d revocation lists", found, keys, lists)
	if found < 400 || keys == 0 || lists < 150 {
		t.Error("less was found than is there")
	}
}
