package cms

import (
	"sync"
	"testing"
)

func TestCertificateCache(t *testing.T) {
	ids := []*identity{newIdentity(t, "p256"), newIdentity(t, "p384"), newIdentity(t, "p521"), newIdentity(t, "ed25519")}
	der := func(i int) []byte { return CertsOnly(certificates(ids[i]), nil).Bytes() }
	cache := NewCertificateCache(len(ids[0].cert.Raw) + len(ids[1].cert.Raw) + len(ids[2].cert.Raw))
	get := func(i int) *SignedData {
		t.Helper()
		s, err := cache.ParseSignedData(der(i))
		if err != nil || len(s.Certificates) != 1 || !s.Certificates[0].Equal(ids[i].cert) {
			t.Fatalf("certificate %d: %v", i, err)
		}
		return s
	}
	first := get(0).Certificates[0]
	if get(0).Certificates[0] != first {
		t.Error("parsed twice")
	}
	get(1)
	if get(0).Certificates[0] != first {
		t.Error("forgotten though there is room")
	}
	get(2)
	get(3)
	get(1)
	if get(0).Certificates[0] == first {
		t.Error("never forgotten")
	}
	for _, c := range []*CertificateCache{nil, {}, NewCertificateCache(0)} {
		if s, err := c.ParseSignedData(der(0)); err != nil || len(s.Certificates) != 1 {
			t.Errorf("without room: %v", err)
		}
	}
	if s, err := cache.ParseSignedData(rawSigned([]byte{4, 0}, []byte{0x30, 0}, nil)); err != nil || len(s.Skipped) != 1 {
		t.Errorf("bad certificate: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { get(i % 4) })
	}
	wg.Wait()
}
