package smime

import (
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// A signature without the attributes that can be left out has the three that are
// always there (RFC 5652 section 11), and is good.
func TestOmitAttributes(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		omit OmitAttributes
		want int
	}{
		{OmitAttributes{}, 7},
		{OmitAttributes{SigningCertificate: true}, 6},
		{OmitAttributes{AlgorithmProtection: true}, 6},
		{OmitAttributes{Capabilities: true}, 6},
		{OmitAttributes{EncryptionCertificate: true}, 6},
		{OmitAttributes{true, true, true, true}, 3},
	} {
		m := w.sign(t, mail(t, samples["multipart"]), w.alice, SignOptions{Opaque: true, Omit: tc.omit})
		if r := w.open(m, w.bob).Report; r.Result != certs.Pass {
			t.Errorf("%+v: %s %s %s", tc.omit, r.Result, r.Reason, r.Detail)
		}
		decoded, err := m.Root().Decode()
		if err != nil {
			t.Fatal(err)
		}
		s, err := cms.ParseSignedData(decoded)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.Verify(cms.VerifyOptions{})[0].SignedAttributes()); got != tc.want {
			t.Errorf("%+v: %d attributes, want %d", tc.omit, got, tc.want)
		}
	}
}
