package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func (w *world) explain(sender string, to ...string) *Explanation {
	w.t.Helper()
	x, err := w.gateway.Explain(context.Background(), w.nameless(sender, to...), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// nameless is an envelope that says nothing of a client.
func (w *world) nameless(sender string, to ...string) *relay.Envelope {
	env := w.envelope("", sender, to...)
	env.Client = relay.Client{}
	return env
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	x := w.explain("alice@own.example", bob, dave, erin, "none@strip.example")
	want := []string{
		"bob@enc.example enc signed, encrypted ",
		"dave@enc.example enc refused 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01",
		"erin@enc.example enc deferred 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake is unavailable",
		"none@strip.example strip stripped ",
	}
	for i, r := range x.Recipients {
		if got := strings.Join([]string{r.Address, r.Rule, r.Outcome, r.Reply}, " "); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
	if r := x.Recipients[0]; r.Cipher != "aes-256-cbc" || r.CipherWhy == "" || r.Copy != 1 || x.Identity != "available" {
		t.Errorf("bob: %+v", r)
	}
	if c := x.Recipients[1].Candidates; len(c) != 1 || c[0].Reason != "expired" || len(c[0].SHA256) != 64 {
		t.Errorf("dave's candidates: %+v", c)
	}
	if s := x.Recipients[2].Sources; len(s) != 1 || s[0].Error != "no answer" {
		t.Errorf("erin's sources: %+v", s)
	}
	if _, err := json.Marshal(x); err != nil {
		t.Error(err)
	}
}

func TestExplainedCandidateHasChainAndRevocation(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(bob).Certificate
	c := explained(directory.Candidate{
		Certificate: leaf, Source: "fake", Ciphers: []cms.Cipher{cms.AES256GCM},
		Verdict: certs.Verdict{Result: certs.Pass, Chain: []*x509.Certificate{leaf, w.ca.Root}, ChainState: "trusted", Revocation: "good"},
	})
	if len(c.Chain) != 1 || c.Chain[0] != w.ca.Root.Subject.String() || c.Trust != "trusted" || c.Revocation != "good" || len(c.Ciphers) != 1 {
		t.Errorf("got %+v", c)
	}
}

func TestExplainRefusedMessage(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "To: bob@enc.example\n\nx\n")
	x, err := w.gateway.Explain(context.Background(), w.nameless("alice@own.example", bob), msg)
	if err != nil {
		t.Fatal(err)
	}
	if want := "550 5.6.0 the message has no From field"; x.Refused != want {
		t.Errorf("refused %q, want %q", x.Refused, want)
	}
}

func TestExplainInbound(t *testing.T) {
	w := newWorld(t)
	x, err := w.gateway.Explain(context.Background(), w.nameless(bob, "alice@own.example"), w.bobsLetter(""))
	if err != nil {
		t.Fatal(err)
	}
	if x.Direction != "inbound" || len(x.Inbound) != 1 || x.Inbound[0].Report.Result != "pass" {
		t.Errorf("explained as %+v", x)
	}
}
