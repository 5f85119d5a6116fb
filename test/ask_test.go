package test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// askRules is what those are sent by who are asked for a certificate.
const askRules = `
[ask]
from = "certificates@corp.example"
german = ["files@ask.example"]

[[rule]]
name = "ask"
recipient = ["ask.example"]
sign = "never"
encrypt = "require"
no_certificate = "ask"
`

const (
	asker   = "certificates@corp.example" // signs the questions
	signs   = "signs@ask.example"         // answers signed
	files   = "files@ask.example"         // answers with a file
	stale   = "stale@ask.example"         // has an expired certificate only
	meddler = "meddler@ask.example"       // answers for others
)

// TestAsk: the message waits, the recipient is asked once, and only an answer of the
// recipient with a certificate that is good lets it leave, encrypted.
func TestAsk(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			past := time.Now().Add(-48 * time.Hour)
			for _, addr := range []string{signs, files, meddler, asker} {
				w.issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"})
			}
			w.issue(testpki.Leaf{Addresses: []string{stale}, Key: "rsa2048", NotBefore: past, NotAfter: past.Add(time.Hour)})
			w.store(t, "identities/"+asker+".pem", testpki.Must(w.ids[asker].PEM()))
			w.more = askRules
			w.openssl = peer.NewOpenSSL(t, w.ca, append(slices.Collect(maps.Values(w.ids)), w.foreign)...)
			d := open(t, w)
			d.name = name
			d.testAsk(t)
		})
	}
}

func (d *deployment) testAsk(t *testing.T) {
	m := newMail(t, alice, signs, files, stale)
	m.subject = "the secret subject"
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	notice := d.notified(t, alice, signs)
	if n := bytes.Count(notice.Data, []byte("has asked this recipient for a certificate")); n != 3 {
		t.Errorf("the notice says of %d that they were asked:\n%s", n, notice.Data)
	}
	ids := map[string]string{}
	for _, addr := range m.to {
		ids[addr] = d.asked(t, addr)
	}
	d.testNoAnswers(t, ids)
	// What became of the questions is nothing of what became of the message.
	traced := strings.ReplaceAll(d.gateway.Run(t, "trace", "--json", "<"+m.id+">"), " ", "")
	if n := strings.Count(traced, `"outcome":"held"`); n != 3 || strings.Contains(traced, `"attempt"`) {
		t.Errorf("the trace of what is held is\n%s", traced)
	}

	d.gateway.Kill(t)
	d.gateway.Start(t)
	second := newMail(t, alice, signs)
	second.id = "second." + second.id
	want(t, d.send(t, second), signs, "accepted")
	d.gateway.WaitLog(t, "outcome=held", 1)

	d.answers(t, "signed", signs, ids[signs], d.signClear(t, d.ids[signs]))
	for _, m := range []mail{m, second} {
		d.arrivesLate(t, m, signs)
	}
	d.answers(t, "file", files, ids[files], attached("certificate.p7b", testpki.Must(file.EncodeBundle([]*x509.Certificate{d.ids[files].Certificate}))))
	d.arrivesLate(t, m, files)
	d.onlyTo(t, m, signs, files)
	for _, addr := range m.to {
		if n := len(d.questions(addr)); n != 1 {
			t.Errorf("%s was asked %d times", addr, n)
		}
	}
	if list := d.gateway.Run(t, "queue", "held"); !strings.Contains(list, stale) || strings.Contains(list, signs) || strings.Contains(list, files) {
		t.Errorf("held is\n%s", list)
	}
	d.removedByAdministrator(t, m, stale)
}

// removedByAdministrator removes the one message that is held, for a recipient: the history says so,
// by whom and why.
func (d *deployment) removedByAdministrator(t *testing.T, m mail, addr string) {
	t.Helper()
	id, _, _ := strings.Cut(d.gateway.Run(t, "queue", "held"), " ")
	d.gateway.Run(t, "queue", "remove", "--reason", "has left", id)
	story := d.gateway.Run(t, "trace", "<"+m.id+">")
	if !strings.Contains(story, "It was removed.") || !regexp.MustCompile(`Ended by \w+ \(removed from the queue by an administrator: has left\)`).MatchString(story) {
		t.Errorf("after the message for %s was removed its story is\n%s", addr, story)
	}
}

// questions are those that a recipient got.
func (d *deployment) questions(addr string) (all []rig.Delivery) {
	for _, got := range d.sink.All() {
		if got.From == "" && contains(got.To, addr) {
			all = append(all, got)
		}
	}
	return all
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: (<[^>]+>)`)

// asked waits for the question to a recipient, and returns its Message-ID.
func (d *deployment) asked(t *testing.T, addr string) string {
	t.Helper()
	got := d.sink.Wait(t, "the question to "+addr, func(got rig.Delivery) bool { return got.From == "" && contains(got.To, addr) })
	inner, err := d.openssl.Verify(got.Data)
	if err != nil {
		t.Errorf("the question to %s: %v\n%s", addr, err, got.Data)
	}
	words := "please answer this message"
	if addr == files {
		words = "antworten Sie bitte"
	}
	if !bytes.Contains(inner, []byte(words)) || !bytes.Contains(got.Data, []byte("Reply-To: "+alice)) {
		t.Errorf("the question to %s is\n%s", addr, got.Data)
	}
	for _, hidden := range []string{"secret", unfit.ReplaceAllString(t.Name(), ".")} {
		if bytes.Contains(got.Data, []byte(hidden)) {
			t.Errorf("the question to %s gives away %q:\n%s", addr, hidden, got.Data)
		}
	}
	id := messageID.FindSubmatch(got.Data)
	if id == nil {
		t.Fatalf("the question to %s has no Message-ID:\n%s", addr, got.Data)
	}
	return string(id[1])
}

// answers has an answer to a question come in.
func (d *deployment) answers(t *testing.T, name, author, question, entity string) {
	t.Helper()
	m := newMail(t, author, alice)
	m.id, m.entity = name+".answer."+m.id, entity
	if question != "" {
		m.headers = "In-Reply-To: " + question + "\r\n"
	}
	want(t, d.receive(t, m), alice, "accepted")
	d.arrived(t, m, alice)
}

// testNoAnswers: what is no answer of the recipient with a good certificate releases
// nothing.
func (d *deployment) testNoAnswers(t *testing.T, ids map[string]string) {
	t.Helper()
	own := d.ids[files].Certificate.Raw
	d.answers(t, "of.another", meddler, ids[signs], d.signClear(t, d.ids[meddler]))
	d.answers(t, "unsigned", signs, ids[signs], inboundText)
	d.answers(t, "file.of.another", meddler, ids[files], attached("certificate.cer", own))
	d.answers(t, "in.the.name.of.another", files, ids[files], attached("certificate.cer", d.ids[meddler].Certificate.Raw))
	d.answers(t, "to.another.question", files, ids[signs], attached("certificate.cer", own))
	d.answers(t, "to.no.question", files, "", attached("certificate.cer", own))
	for _, name := range []string{"certificate.zip", "certificate.p7m", "certificate.txt"} {
		d.answers(t, name, files, ids[files], attached(name, own))
	}
	d.answers(t, "of.another.usage", files, ids[files], attached("certificate.cer", testpki.Must(d.ca.Issue(testpki.Leaf{Addresses: []string{files}, KeyUsage: x509.KeyUsageDigitalSignature})).Certificate.Raw))
	d.answers(t, "expired", stale, ids[stale], attached("certificate.cer", d.ids[stale].Certificate.Raw))
	d.answers(t, "expired.signed", stale, ids[stale], d.signClear(t, d.ids[stale]))
	d.gateway.WaitLog(t, "not harvested: certificates came with an answer of someone who was not asked", 2)
	d.gateway.WaitLog(t, `msg="not harvested" address=`+stale, 1)
	d.gateway.WaitLog(t, `msg="not harvested" address=`+files, 2)
	looks := strings.Count(d.gateway.Log(), `msg="held message"`)
	d.gateway.Run(t, "queue", "release", "--all")
	d.gateway.WaitLog(t, `msg="held message"`, looks+1)
	if list := d.gateway.Run(t, "queue", "held"); !strings.Contains(list, signs) || !strings.Contains(list, files) || !strings.Contains(list, stale) {
		t.Fatalf("held is\n%s", list)
	}
}

// attached is a message with a file.
func attached(name string, content []byte) string {
	return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhere it is\r\n"+
		"--b\r\nContent-Type: application/octet-stream; name=%[1]s\r\nContent-Disposition: attachment; filename=%[1]s\r\nContent-Transfer-Encoding: base64\r\n\r\n%[2]s\r\n--b--\r\n",
		name, lines(content))
}
