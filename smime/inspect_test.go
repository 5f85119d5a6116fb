package smime

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestOpenWithKind: what Inspect decoded is used once, for its own message only, and
// changes nothing of what Open finds.
func TestOpenWithKind(t *testing.T) {
	w := newWorld(t)
	id := w.issue("x@example.org", "p256")
	to := []*x509.Certificate{id.Certificate}
	one := testpki.Must(Encrypt(mail(t, "\none\n"), to, EncryptOptions{}))
	other := testpki.Must(Encrypt(mail(t, "\nother\n"), to, EncryptOptions{}))
	before := string(one.Bytes())
	kind := Inspect(one)
	options := OpenOptions{Keys: certs.NewKeys(nil, id), Kind: &kind}
	for _, tc := range []struct {
		name string
		m    *message.Message
		kept bool
	}{{"other", other, true}, {"one", one, false}, {"one again", one, false}} {
		got := Open(context.Background(), tc.m, options)
		want := Open(context.Background(), tc.m, OpenOptions{Keys: options.Keys})
		if diff := cmp.Diff(string(want.Message.Bytes()), string(got.Message.Bytes())); !got.Decrypted || diff != "" {
			t.Errorf("%s: %+v %s", tc.name, got.Report, diff)
		}
		if (kind.decoded != nil) != tc.kept {
			t.Errorf("%s: what was decoded is there: %t", tc.name, kind.decoded != nil)
		}
	}
	if string(one.Bytes()) != before {
		t.Error("the message was changed")
	}
}
