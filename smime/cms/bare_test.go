package cms

import "testing"

// TestBare: beside what is encrypted, a signature must hold nothing else that could be
// a text. Unsigned attributes are under no signature (RFC 5652 section 5.3): any text
// can be put there.
func TestBare(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, tc := range []struct {
		name     string
		content  []byte
		unsigned [][]byte
		want     bool
	}{
		{"nothing else", nil, nil, true},
		{"content", content, nil, false},
		{"text in an unsigned attribute", nil, [][]byte{attribute("\x2a\x03\x04", built(func(b *builder) { b.tlv(tagOctetString, content) }))}, false},
	} {
		info := forgedInfo{id: id, attrs: goodAttributes(content), unsigned: tc.unsigned}.der(t)
		s, err := ParseSignedData(forgery{content: tc.content, certs: certificates(id), infos: [][]byte{info}}.der())
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got := s.Bare(); got != tc.want {
			t.Errorf("%s: bare %t, want %t", tc.name, got, tc.want)
		}
	}
}
