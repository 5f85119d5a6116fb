package rc2

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 2268 section 5.
func TestRC2Vectors(t *testing.T) {
	for _, tc := range []struct {
		key, plain, cipher string
		bits               int
	}{
		{"0000000000000000", "0000000000000000", "ebb773f993278eff", 63},
		{"ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49", 64},
		{"3000000000000000", "1000000000000001", "30649edf9be7d2c2", 64},
		{"88", "0000000000000000", "61a8a244adacccf0", 64},
		{"88bca90e90875a", "0000000000000000", "6ccf4308974c267f", 64},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "1a807d272bbe5db1", 64},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6", 128},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", "0000000000000000", "5b78d3a43dfff1f1", 129},
	} {
		b := New(unhex(t, tc.key), tc.bits)
		var got [8]byte
		if b.Encrypt(got[:], unhex(t, tc.plain)); !bytes.Equal(got[:], unhex(t, tc.cipher)) {
			t.Errorf("%s: encrypts to %x", tc.key, got)
		}
		if b.Decrypt(got[:], got[:]); !bytes.Equal(got[:], unhex(t, tc.plain)) {
			t.Errorf("%s: decrypts to %x", tc.key, got)
		}
	}
}
