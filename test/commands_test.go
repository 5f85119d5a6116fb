package test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// commandsTo takes the mail commands.
const commandsTo = "smime@corp.example"

// TestMailCommands: a member asks by mail and gets one signed answer; nothing of it goes on, and
// a stranger gets none.
func TestMailCommands(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issue(testpki.Leaf{Addresses: []string{commandsTo}, Key: "rsa2048"})
			w.store(t, "identities/"+commandsTo+".pem", testpki.Must(w.ids[commandsTo].PEM()))
			w.more = "[mail_commands]\naddress = \"" + commandsTo + "\"\nmax_per_hour = 6\n"
			w.openssl = peer.NewOpenSSL(t, w.ca, append(slices.Collect(maps.Values(w.ids)), w.foreign)...)
			d := open(t, w)
			d.name = name
			d.testCommands(t)
		})
	}
}

func (d *deployment) testCommands(t *testing.T) {
	const left = "none@strip.example"
	m := newMail(t, alice, "bob@strip.example", left)
	d.send(t, m)
	d.notified(t, alice, left)
	d.gateway.AwaitOutput(t, `"stripped"`, "trace", "--json", "<"+m.id+">")

	for _, c := range []struct{ name, subject, from, want, lacks string }{
		{"why", "why <" + m.id + ">", alice, left, "knows no message"},
		{"why.another", "why " + m.id, erika, "knows no message of yours", left},
		{"can", "can bob@both.example", alice, "can be encrypted", "cannot"},
		{"cannot", "can none@both.example", alice, "cannot be encrypted", "valid until"},
		{"certificate", "certificate", alice, "has a certificate for " + alice, "cannot order"},
		{"no.certificate", "certificate", norah, "cannot order one by itself", "SHA-256"},
		{"help", "help", alice, "why MESSAGE-ID", "not a command"},
	} {
		command := d.asks(t, c.name, c.from, c.subject)
		got := d.sink.Wait(t, "the answer to "+c.name, func(got rig.Delivery) bool {
			return got.From == "" && bytes.Contains(got.Data, []byte("In-Reply-To: <"+command.id+">"))
		})
		inner, err := d.openssl.Verify(got.Data)
		text := strings.ReplaceAll(string(inner), "=\r\n", "")
		if err != nil || !contains(got.To, c.from) || !strings.Contains(text, c.want) || strings.Contains(text, c.lacks) {
			t.Errorf("the answer to %s is to %s (%v)\n%s", c.name, got.To, err, got.Data)
		}
	}
	d.testCommandsOfOthers(t)
	for _, got := range d.sink.All() {
		if got.From != "" && contains(got.To, commandsTo) && !bytes.Contains(got.Data, []byte("stranger")) {
			t.Errorf("a command went on:\n%s", got.Data)
		}
	}
}

// testCommandsOfOthers: who is not shown to be a member, and who asks too much, gets no answer.
func (d *deployment) testCommandsOfOthers(t *testing.T) {
	t.Helper()
	stranger := newMail(t, alice, commandsTo)
	stranger.id, stranger.subject = "stranger."+stranger.id, "certificate"
	outcome := d.receive(t, stranger)[commandsTo]
	if d.name == "relay" && (outcome.word != "refused" || !strings.Contains(outcome.text, "5.1.1")) || d.name != "relay" && outcome.word != "accepted" {
		t.Errorf("a stranger is answered %v", outcome)
	}
	if d.name != "relay" {
		d.arrived(t, stranger, commandsTo) // where the MTA has mail for this address go
	}
	forged := newMail(t, alice, commandsTo)
	forged.id, forged.author, forged.subject = "forged."+forged.id, erika, "certificate"
	want(t, d.send(t, forged), commandsTo, "refused")
	want(t, d.send(t, d.command(t, "sixth", alice, "help")), commandsTo, "accepted")
	want(t, d.send(t, d.command(t, "seventh", alice, "help")), commandsTo, "refused")
	for _, got := range d.sink.All() {
		if got.From == "" && (bytes.Contains(got.Data, []byte("In-Reply-To: <stranger.")) || bytes.Contains(got.Data, []byte("In-Reply-To: <forged."))) {
			t.Errorf("answered:\n%s", got.Data)
		}
	}
}

// command is a mail command.
func (d *deployment) command(t *testing.T, name, from, subject string) mail {
	m := newMail(t, from, commandsTo)
	m.id, m.subject = name+"."+m.id, subject
	return m
}

// asks sends a mail command that is taken.
func (d *deployment) asks(t *testing.T, name, from, subject string) mail {
	t.Helper()
	m := d.command(t, name, from, subject)
	want(t, d.send(t, m), commandsTo, "accepted")
	return m
}
