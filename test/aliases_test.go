package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/test/peer"
)

// Aliases of alice, whose certificate names none of them: as Active Directory, qmail-ldap
// and OpenLDAP list them. The last one is listed in another directory, too.
const (
	proxyAlias     = "a.lund@corp.example"
	alternateAlias = "alice.lund@corp.example"
	localAlias     = "lund@corp.example"
	sharedAlias    = "desk@corp.example"
)

// aliases adds alice to the directory with her addresses.
func (w *world) aliases(t *testing.T) {
	t.Helper()
	const contacts = "ou=contacts," + slapdtest.Suffix
	w.slapd.Add(t, "cn=alice,"+slapdtest.People, slapdtest.Attributes{
		"objectClass": {"user", "qmailUser", "inetLocalMailRecipient"}, "cn": {"alice"}, "sn": {"Lund"}, "mail": {alice},
		"proxyAddresses":       {"SMTP:" + alice, "smtp:" + proxyAlias, "smtp:" + sharedAlias},
		"mailAlternateAddress": {alternateAlias}, "mailLocalAddress": {localAlias},
	})
	w.slapd.Add(t, contacts, slapdtest.Attributes{"objectClass": {"organizationalUnit"}, "ou": {"contacts"}})
	w.slapd.Add(t, "cn=desk,"+contacts, slapdtest.Attributes{
		"objectClass": {"contact"}, "cn": {"desk"}, "sn": {"Desk"}, "mail": {sharedAlias},
	})
}

// testAliases: mail from an alias is signed with the identity of its mailbox, and mail
// to one is decrypted with it, in every deployment; an ambiguous alias has none.
func (d *deployment) testAliases(t *testing.T) {
	for _, alias := range []string{proxyAlias, alternateAlias, localAlias} {
		t.Run("from "+alias, func(t *testing.T) { d.testSignedFor(t, alias) })
		t.Run("to "+alias, func(t *testing.T) { d.testDecryptedFor(t, alias, true) })
	}
	t.Run("from one that two entries list", d.testAmbiguousAuthor)
	t.Run("to one that two entries list", func(t *testing.T) { d.testDecryptedFor(t, sharedAlias, false) })
	t.Run("explained", d.testExplainedAliases)
}

func (d *deployment) testSignedFor(t *testing.T, alias string) {
	m := newMail(t, alias, "bob@sign.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	got := d.arrived(t, m, m.to[0])
	d.verified(t, got.Data, m, d.openssl)
	if !peer.Names(got.Data, d.ids[alice]) {
		t.Errorf("not signed by %s:\n%.1500s", alice, got.Data)
	}
	if from := header(got.Data, "From"); len(from) != 1 || from[0] != "<"+alias+">" || header(got.Data, "Sender") != nil {
		t.Errorf("the author changed: %q, Sender %q", from, header(got.Data, "Sender"))
	}
}

func (d *deployment) testDecryptedFor(t *testing.T, alias string, plain bool) {
	m := newMail(t, partner, alias)
	m.entity = d.encryptTo(t, inboundText, d.ids[alice])
	want(t, d.receive(t, m), alias, "accepted")
	got := d.arrived(t, m, alias)
	if bytes.Contains(got.Data, []byte("hello from outside")) != plain {
		t.Errorf("decrypted %t, want %t:\n%.1500s", !plain, plain, got.Data)
	}
}

func (d *deployment) testAmbiguousAuthor(t *testing.T) {
	m := newMail(t, sharedAlias, "bob@sign.example")
	outcomes := d.send(t, m)
	want(t, outcomes, m.to[0], "deferred")
	if text := outcomes[m.to[0]].text; !strings.Contains(text, "several directory entries list "+sharedAlias) {
		t.Errorf("the reply does not say why: %s", text)
	}
	d.onlyTo(t, m)
}

// testExplainedAliases: explain names the identity that signs, and the entries that make
// an alias ambiguous.
func (d *deployment) testExplainedAliases(t *testing.T) {
	text := d.gateway.Run(t, "explain", "--from", proxyAlias, "--to", "bob@sign.example")
	if part := "bob@sign.example: signed (with the identity of " + alice + ": " + proxyAlias + " is the same mailbox)"; !strings.Contains(text, part) {
		t.Errorf("explain does not say %q:\n%s", part, text)
	}
	text = d.gateway.RunFails(t, 1, "explain", "--from", sharedAlias, "--to", "bob@sign.example")
	if part := `(ldap:contacts) is another entry with one of them`; !strings.Contains(text, part) {
		t.Errorf("explain does not say %q:\n%s", part, text)
	}
}
