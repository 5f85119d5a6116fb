package test

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// groupRules are those whose cases are in this file.
const groupRules = `
[[rule]]
name = "lists"
recipient = ["lists.example"]
expand_groups = true
sign = "never"
encrypt = "never"

[[rule]]
name = "group"
recipient = ["secret.example", "group.example"]
recipient_group = ["cleared@lists.example"]
sign = "never"
encrypt = "require"

[[rule]]
name = "mistyped"
recipient = ["mistyped.example"]
recipient_group = ["no-such-group@lists.example"]
sign = "never"
encrypt = "require"
`

// groups adds distribution groups to the directory, laid out as Active Directory
// does: one in another, and one with a member about whom nothing is known.
func (w *world) groups(t *testing.T) {
	t.Helper()
	for _, addr := range []string{"lost@both.example", "carol@silent.example", "none@secret.example"} {
		w.slapd.AddPerson(t, addr)
	}
	w.publish(t, testpki.Leaf{Addresses: []string{"bob@secret.example"}, Key: "rsa2048"})
	w.group(t, "inner", "ec@both.example", "lost@both.example")
	w.group(t, "team", "bob@both.example", "inner")
	w.group(t, "waiting", "bob@both.example", "carol@silent.example")
	w.group(t, "lost", "lost@both.example")
	w.group(t, "cleared", "bob@secret.example", "none@secret.example")
}

// group makes a group of people and groups.
func (w *world) group(t *testing.T, name string, members ...string) {
	t.Helper()
	var dns []string
	for _, m := range members {
		dns = append(dns, "cn="+ldap.EscapeDN(m)+","+slapdtest.People)
	}
	w.slapd.Add(t, "cn="+name+","+slapdtest.People, slapdtest.Attributes{
		"objectClass": {"group"}, "cn": {name}, "mail": {name + "@lists.example"}, "member": dns,
	})
}

// testGroups: groups of the directory come out the same in every deployment.
func (d *deployment) testGroups(t *testing.T) {
	t.Run("expanded", d.testExpanded)
	t.Run("a member waits", d.testMemberWaits)
	t.Run("no recipient left", d.testNoneLeft)
	t.Run("named twice", d.testNamedTwice)
	t.Run("as a condition", d.testGroupCondition)
	t.Run("that does not exist", d.testMistypedGroup)
	t.Run("explained", d.testExplainedGroups)
}

// testExpanded: each member gets what the rules say of it, and the sender hears
// of the one who has no certificate.
func (d *deployment) testExpanded(t *testing.T) {
	m := newMail(t, alice, "team@lists.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	for _, addr := range []string{"bob@both.example", "ec@both.example"} {
		got := d.arrived(t, m, addr)
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	}
	d.notified(t, alice, "lost@both.example")
	d.onlyTo(t, m, "bob@both.example", "ec@both.example")
}

// testMemberWaits: it is unknown whether one member has a certificate, so no
// member gets the message yet.
func (d *deployment) testMemberWaits(t *testing.T) {
	m := newMail(t, alice, "waiting@lists.example")
	want(t, d.send(t, m), m.to[0], "deferred")
	d.onlyTo(t, m)
}

// testNoneLeft: the only member has no certificate, and the group is refused.
func (d *deployment) testNoneLeft(t *testing.T) {
	m := newMail(t, alice, "lost@lists.example")
	outcomes := d.send(t, m)
	want(t, outcomes, m.to[0], "refused")
	if text := outcomes[m.to[0]].text; !strings.Contains(text, "lost@both.example") {
		t.Errorf("the reply does not name the member: %q", text)
	}
	d.onlyTo(t, m)
}

// testNamedTwice: who is a member and named too gets one copy.
func (d *deployment) testNamedTwice(t *testing.T) {
	m := newMail(t, alice, "team@lists.example", "inner@lists.example", "bob@both.example")
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	d.arrived(t, m, "ec@both.example")
	d.arrived(t, m, "bob@both.example")
	copies := map[string]int{}
	for _, got := range d.sink.All() {
		if got.From != "" && strings.Contains(string(got.Data), "<"+m.id+">") {
			for _, addr := range got.To {
				copies[addr]++
			}
		}
	}
	if len(copies) != 2 || copies["bob@both.example"] != 1 || copies["ec@both.example"] != 1 {
		t.Errorf("copies: %v", copies)
	}
}

// testGroupCondition: who is in the group gets it encrypted or not at all, others
// get it as it is.
func (d *deployment) testGroupCondition(t *testing.T) {
	m := newMail(t, alice, "bob@secret.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	d.decrypted(t, d.arrived(t, m, m.to[0]).Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
	m = newMail(t, alice, "none@secret.example")
	m.id = "none." + m.id
	want(t, d.send(t, m), m.to[0], "refused")
	d.onlyTo(t, m)
	m = newMail(t, alice, "outsider@group.example")
	m.id = "out." + m.id
	want(t, d.send(t, m), m.to[0], "accepted")
	sameContent(t, entityOf(d.arrived(t, m, m.to[0]).Data), []byte(m.entity))
}

// testMistypedGroup: a group that is not there might have had anybody in it.
func (d *deployment) testMistypedGroup(t *testing.T) {
	m := newMail(t, alice, "bob@mistyped.example")
	want(t, d.send(t, m), m.to[0], "deferred")
	d.onlyTo(t, m)
}

// testExplainedGroups: explain shows who stands for a group, and what the
// directory said about the groups that rules name.
func (d *deployment) testExplainedGroups(t *testing.T) {
	text := d.gateway.RunFails(t, 1, "explain", "--from", alice, "--to", "team@lists.example", "--to", "none@secret.example")
	for _, part := range []string{
		"team@lists.example: a group of 3: ", "lost@both.example: refused", "member     of team@lists.example",
		"group      is in cleared@lists.example",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("explain does not say %q:\n%s", part, text)
		}
	}
}
