package service

import (
	"context"
	"errors"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// sendSigned sends a message from outside, signed by id.
func sendSigned(t *testing.T, listener string, id *testpki.Identity) {
	t.Helper()
	plain := testpki.Must(message.Parse([]byte("From: bob@example.net\r\nTo: alice@example.org\r\nSubject: signed\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n\r\nHello.\r\n")))
	signed := testpki.Must(smime.Sign(plain, (*certs.Identity)(id), smime.SignOptions{Time: time.Now()}))
	c, err := smtp.Dial(listener)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Mail("bob@example.net"), c.Rcpt("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	w := testpki.Must(c.Data())
	if _, err := w.Write(signed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHarvestIsKeptAtTheEnd: what a message taught is in the store although the
// service was stopped right after it, also through a reload.
func TestHarvestIsKeptAtTheEnd(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	anchor := filepath.Join(t.TempDir(), "anchor.pem")
	if err := os.WriteFile(anchor, testpki.EncodeCertificates(ca.Certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(inbound, `anchors = ["ca.pem"]`, `anchors = ["`+anchor+`"]`, 1)
	w := startWorld(t, text)
	for _, end := range []func(){func() { w.reload(text, "msg=reloaded") }, w.stop} {
		sendSigned(t, w.address("in"), testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@example.net"}})))
		end()
	}
	st := testpki.Must(store.Open(context.Background(), store.Config{URL: filepath.Join(w.dir, "store.db")}))
	defer st.Close()
	bob := testpki.Must(address.Parse("bob@example.net"))
	if all := testpki.Must(st.Find(context.Background(), store.Query{Address: &bob})); len(all) != 2 {
		t.Errorf("the store has %d", len(all))
	}
}
