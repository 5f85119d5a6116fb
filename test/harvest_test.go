package test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// harvestRules are for people whose certificates no directory has.
const harvestRules = `
[[rule]]
name = "harvest"
recipient = ["harvest.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject"
`

// The correspondents: anna's program reads AES-GCM and says so, berta's is
// OpenSSL, and the others' certificates or signatures are not good.
const (
	anna  = "anna@harvest.example"
	berta = "berta@harvest.example"
	emil  = "emil@harvest.example" // expired
	rolf  = "rolf@harvest.example" // revoked
	uwe   = "uwe@harvest.example"  // of an authority that is not trusted
	tim   = "tim@harvest.example"  // whose message was changed
	max   = "max@harvest.example"  // who writes in another's name
)

// correspondents makes identities that are in no directory, and a revocation list.
func (w *world) correspondents(t *testing.T) {
	t.Helper()
	past := time.Now().Add(-48 * time.Hour)
	for _, addr := range []string{anna, berta, tim, max} {
		w.issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"})
	}
	w.issue(testpki.Leaf{Addresses: []string{emil}, Key: "rsa2048", NotBefore: past, NotAfter: past.Add(time.Hour)})
	revoked := w.issue(testpki.Leaf{Addresses: []string{rolf}, Key: "rsa2048"})
	w.store(t, "revoked.crl", testpki.EncodeCRL(testpki.Must(w.ca.CRL(testpki.CRL{
		Revoked: []*x509.Certificate{revoked.Certificate},
	}))))
	w.ids[uwe] = testpki.Must(w.stranger.Issue(testpki.Leaf{Addresses: []string{uwe}, Key: "rsa2048"}))
}

// testHarvest: who wrote signed mail can be answered encrypted, by the cipher that
// their program reads best, also after a restart; whose mail did not pass can not.
func (d *deployment) testHarvest(t *testing.T) {
	for addr, entity := range map[string]string{anna: d.signOurs(t, d.ids[anna]), berta: d.signClear(t, d.ids[berta])} {
		t.Run(addr, func(t *testing.T) {
			d.unknown(t, addr, "before.")
			d.writes(t, addr, addr, entity, "pass")
			d.gateway.WaitLog(t, "msg=harvested address="+addr, 1)
			d.answered(t, addr, "after.")
		})
	}
	for addr, entity := range map[string]string{
		emil: d.signClear(t, d.ids[emil]),
		rolf: d.signClear(t, d.ids[rolf]),
		uwe:  d.signClear(t, d.ids[uwe]),
		tim:  strings.Replace(d.signClear(t, d.ids[tim]), "hello", "HELLO", 1),
	} {
		t.Run(addr, func(t *testing.T) {
			d.writes(t, addr, addr, entity, "fail")
			d.unknown(t, addr, "")
		})
	}
	t.Run(max, func(t *testing.T) {
		d.writes(t, max, "anna.other@harvest.example", d.signClear(t, d.ids[max]), "fail")
		d.unknown(t, max, "")
		d.unknown(t, "anna.other@harvest.example", "other.")
	})
	t.Run("explained", d.testHarvestExplained)
	t.Run("after a restart", func(t *testing.T) {
		d.gateway.Kill(t)
		d.gateway.Start(t)
		d.answered(t, anna, "")
	})
}

// testHarvestExplained: the command line tells of the store and what is in it, also
// while the gateway uses it.
func (d *deployment) testHarvestExplained(t *testing.T) {
	fingerprint := fmt.Sprintf("%x", sha256.Sum256(d.ids[anna].Certificate.Raw))
	for _, verb := range [][]string{{"cert", "lookup", anna}, {"explain", "--from", alice, "--to", anna}} {
		text := d.gateway.Run(t, verb...)
		for _, want := range []string{
			"asked      store: 0 found", "asked      harvested: ", "sha256 " + fingerprint + " from harvested", "reads aes-256-gcm", "trusted by ",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", verb, want, text)
			}
		}
	}
	if text := d.gateway.Run(t, "explain", "--from", alice, "--to", anna); !strings.Contains(text, "cipher     aes-256-gcm (every reader claims") {
		t.Errorf("the cipher is not explained:\n%s", text)
	}
}

// signOurs signs with our own engine, which announces AES-GCM first.
func (d *deployment) signOurs(t *testing.T, id *testpki.Identity) string {
	t.Helper()
	plain, err := message.Parse([]byte("From: <" + id.Certificate.EmailAddresses[0] + ">\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n" + inboundText))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := smime.Sign(plain, (*certs.Identity)(id), smime.SignOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return string(entityOf(signed.Bytes()))
}

// writes has a message come in, with the result given.
func (d *deployment) writes(t *testing.T, sender, author, entity, result string) {
	t.Helper()
	m := newMail(t, sender, alice)
	m.author, m.entity, m.id = author, entity, "in."+m.id
	want(t, d.receive(t, m), alice, "accepted")
	status(t, d.arrived(t, m, alice).Data, result)
}

// unknown: mail to addr is refused for want of a certificate.
func (d *deployment) unknown(t *testing.T, addr, id string) {
	t.Helper()
	m := newMail(t, alice, addr)
	m.id = id + m.id
	outcomes := d.send(t, m)
	want(t, outcomes, addr, "refused")
	if !strings.Contains(outcomes[addr].text, "no certificate found") {
		t.Errorf("%s: %s", addr, outcomes[addr].text)
	}
}

// answered: mail to addr arrives encrypted to its certificate, by AES-GCM if that
// is what its program asked for.
func (d *deployment) answered(t *testing.T, addr, id string) {
	t.Helper()
	m := newMail(t, alice, addr)
	m.id = id + m.id
	want(t, d.send(t, m), addr, "accepted")
	got := d.arrived(t, m, addr)
	opened := smime.Open(t.Context(), testpki.Must(message.Parse(got.Data)), smime.OpenOptions{
		Keys: certs.NewKeys(time.Now, (*certs.Identity)(d.ids[addr])),
	})
	e := opened.Report.Encryption
	if !opened.Decrypted || e == nil || e.Recipients != 1 {
		t.Fatalf("%s cannot read it: %+v", addr, opened.Report)
	}
	if cipher := map[string]string{anna: "aes-256-gcm", berta: "aes-256-cbc"}[addr]; string(e.Cipher) != cipher {
		t.Errorf("%s: %s, want %s", addr, e.Cipher, cipher)
	}
	if addr == berta {
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
	}
}

// testDirectoryDown: while the directory does not answer, what must be encrypted
// stays with its sender, and flows again by itself.
func (d *deployment) testDirectoryDown(t *testing.T) {
	const late = "down@both.example"
	d.slapd.Stop(t)
	m := newMail(t, alice, late)
	m.id = "down." + m.id
	outcomes := d.send(t, m)
	want(t, outcomes, late, "deferred")
	if !strings.Contains(outcomes[late].text, "451 4.4.3") {
		t.Errorf("the reply is %s", outcomes[late].text)
	}
	m = newMail(t, alice, "carol@rest.example")
	m.id = "plain." + m.id
	want(t, d.send(t, m), "carol@rest.example", "accepted")
	d.slapd.Restart(t)
	m = newMail(t, alice, late)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for d.send(t, m)[late].word != "accepted" {
		select {
		case <-tick.C:
			m.id = "again." + m.id
		case <-ctx.Done():
			t.Fatal("it does not recover")
		}
	}
	d.decrypted(t, d.arrived(t, m, late).Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
}
