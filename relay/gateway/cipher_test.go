package gateway

import (
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestCipher(t *testing.T) {
	gcm, gcm128, cbc, old, silent := enforce.Fingerprint{1}, enforce.Fingerprint{2}, enforce.Fingerprint{3}, enforce.Fingerprint{4}, enforce.Fingerprint{5}
	e := &evidence{ciphers: map[enforce.Fingerprint][]cms.Cipher{
		gcm:    {cms.AES256GCM, cms.AES128GCM, cms.AES256CBC, cms.AES128CBC},
		gcm128: {cms.AES128GCM, cms.AES128CBC},
		cbc:    {cms.AES256CBC, cms.AES128CBC},
		old:    {cms.TripleDES},
	}}
	for _, tt := range []struct {
		profile string
		to      []enforce.Fingerprint
		want    string
	}{
		{"", []enforce.Fingerprint{silent}, "aes-256-cbc"},
		{"auto", []enforce.Fingerprint{gcm}, "aes-256-gcm"},
		{"auto", []enforce.Fingerprint{gcm, gcm128}, "aes-128-gcm"},
		{"auto", []enforce.Fingerprint{gcm, cbc}, "aes-256-cbc"},
		{"auto", []enforce.Fingerprint{gcm, silent}, "aes-256-cbc"},
		{"auto", []enforce.Fingerprint{gcm128, cbc}, "aes-128-cbc"},
		{"auto", []enforce.Fingerprint{old}, "aes-256-cbc"}, // never a weak one
		{"aes-256-gcm", []enforce.Fingerprint{silent}, "aes-256-gcm"},
	} {
		if got, why := e.cipher(Profile{Cipher: tt.profile}, enforce.Encrypt{Certificates: tt.to}); string(got) != tt.want || why == "" {
			t.Errorf("profile %q, %x: %s (%s), want %s", tt.profile, tt.to, got, why, tt.want)
		}
	}
}
