package pkix

import (
	"crypto/x509"
	"slices"
	"testing"
)

// What ObjectIdentifier reads is what the library reads.
func TestObjectIdentifier(t *testing.T) {
	for _, contents := range []string{
		"", "\x00", "\x2a", "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "\x88\x37", "\x80\x01", "\x2a\x80\x01", "\x2a\x86", "\x2a\x00", "\xff\x7f",
		"\x2a\x8f\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x2b\x06\x01\x04\x01",
	} {
		got := ObjectIdentifier([]byte(contents))
		var id x509.OID
		if err := id.UnmarshalBinary([]byte(contents)); (err == nil) != (got != nil) {
			t.Errorf("%x: %v, the library says %v", contents, got, err)
		}
		if got != nil && !slices.Equal(got, saturated(id)) {
			t.Errorf("%x: %v, the library says %v", contents, got, id)
		}
	}
}
