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
	signed := func(text string) *message.Message {
		return testpki.Must(Sign(mail(t, text), (*certs.Identity)(id), SignOptions{Time: w.now}))
	}
	one := testpki.Must(Encrypt(mail(t, "\none\n"), to, EncryptOptions{}))
	other := testpki.Must(Encrypt(mail(t, "\nother\n"), to, EncryptOptions{}))
	t.Run("encrypted", func(t *testing.T) { openWithKind(t, one, other, OpenOptions{Keys: certs.NewKeys(nil, id)}) })
	t.Run("signed", func(t *testing.T) { openWithKind(t, signed("\none\n"), signed("\nother\n"), OpenOptions{}) })
}

func openWithKind(t *testing.T, one, other *message.Message, options OpenOptions) {
	t.Helper()
	before := string(one.Bytes())
	kind := Inspect(one)
	without := options
	options.Kind = &kind
	for _, tc := range []struct {
		name string
		m    *message.Message
		kept bool
	}{{"other", other, true}, {"one", one, false}, {"one again", one, false}} {
		got := Open(context.Background(), tc.m, options)
		want := Open(context.Background(), tc.m, without)
		if diff := cmp.Diff(string(want.Message.Bytes()), string(got.Message.Bytes())); got.Decrypted != kind.Encrypted || diff != "" {
			t.Errorf("%s: %+v %s", tc.name, got.Report, diff)
		}
		if got.Report.Result != want.Report.Result || got.Report.Reason != want.Report.Reason {
			t.Errorf("%s: %+v, and without what Inspect kept %+v", tc.name, got.Report, want.Report)
		}
		if kept := kind.seen[0].object != nil; kept != tc.kept {
			t.Errorf("%s: what was decoded is there: %t", tc.name, kept)
		}
	}
	if string(one.Bytes()) != before {
		t.Error("the message was changed")
	}
}
