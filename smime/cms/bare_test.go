package cms

import (
	"crypto"
	"errors"
	"slices"
	"testing"
)

// A signature without signed attributes counts only where the caller says so,
// and never one that was made over attributes.
func TestBare(t *testing.T) {
	id := newIdentity(t, "p256")
	bare := func(contentType string, content []byte) []byte {
		info := forgedInfo{id: id, message: content}.der(t)
		return forgery{contentType: contentType, content: content, certs: certificates(id), infos: [][]byte{info}}.der()
	}
	attributes := sortedSet(tagSet, goodAttributes([]byte("what was signed")))
	long := append([]byte{tagSet, 0x81}, attributes[1:]...)
	mail := []byte("Content-Type: text/plain\r\n\r\n1\r\n")
	allowed := VerifyOptions{AllowBare: true}
	detached := VerifyOptions{AllowBare: true, Content: [][]byte{mail[:5], mail[5:]}}
	for name, tt := range map[string]struct {
		object []byte
		o      VerifyOptions
		want   error
	}{
		"not allowed":             {bare(oidData, mail), VerifyOptions{}, ErrAttributes},
		"allowed":                 {bare(oidData, mail), allowed, nil},
		"detached, in pieces":     {bare(oidData, mail), detached, nil},
		"other content":           {bare(oidData, mail), VerifyOptions{AllowBare: true, Content: [][]byte{[]byte("other")}}, ErrSignature},
		"digest only":             {bare(oidData, mail), VerifyOptions{AllowBare: true, Digests: map[crypto.Hash][]byte{}}, ErrUnsupported},
		"other content type":      {bare(oidSignedData, mail), allowed, ErrAttributes},
		"attributes as content":   {bare(oidData, attributes), allowed, ErrAttributes},
		"attributes in BER":       {bare(oidData, long), allowed, ErrAttributes},
		"begins like attributes":  {bare(oidData, append(slices.Clone(attributes), "text"...)), allowed, ErrAttributes},
		"a digit, which is a SET": {bare(oidData, []byte("1 is a number")), allowed, nil},
	} {
		r := verifyOne(t, tt.object, tt.o)
		if !errors.Is(r.Err, tt.want) || !r.Bare {
			t.Errorf("%s: %v, bare %v; want %v", name, r.Err, r.Bare, tt.want)
		}
	}
	with := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	if r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{with}}.der(), allowed); r.Err != nil || r.Bare {
		t.Errorf("with attributes: %+v", r)
	}
}
