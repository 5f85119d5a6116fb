package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
)

// fakeIssuer issues for everybody, and counts.
type fakeIssuer struct {
	w         *world
	issued    []string
	due       bool
	ready     error
	fail      error
	otherName bool
}

func (i *fakeIssuer) Issue(_ context.Context, a address.Address) (*certs.Identity, error) {
	i.issued = append(i.issued, a.String())
	if i.fail != nil {
		return nil, i.fail
	}
	if i.otherName {
		return i.w.issue("mallory@own.example"), nil
	}
	return i.w.issue(a.String()), nil
}

func (i *fakeIssuer) Due(context.Context, *certs.Identity) bool { return i.due }

func (i *fakeIssuer) Ready(context.Context, address.Address) error { return i.ready }

// issuing is a world in which one domain's mail is signed with what is issued.
func issuing(t *testing.T) (*world, *fakeIssuer) {
	t.Helper()
	w := newWorld(t)
	i := &fakeIssuer{w: w}
	w.config.Issuer = i
	w.rules(
		enforce.Rule{Name: "issue", Recipient: []string{"sign.example"}, Sign: "require", Encrypt: "never", Issue: true},
		enforce.Rule{Name: "prefer", Recipient: []string{"prefer.example"}, Sign: "prefer", Encrypt: "never", Issue: true},
		enforce.Rule{Name: "report", Recipient: []string{"report.example"}, Sign: "require", Encrypt: "never", Issue: true, Mode: "report"},
		enforce.Rule{Name: "default", Sign: "require", Encrypt: "never"},
	)
	return w, i
}

// write passes a message of an author to a recipient through the gateway.
func (w *world) write(from, to string) (*answer.Outcome, error) {
	w.t.Helper()
	msg := parseMessage(w.t, "From: "+from+"\nTo: "+to+"\n\n"+text+"\n")
	return w.process(w.envelope("out", "alice@own.example", to), msg)
}

// wrote is write's outcome in a line.
func (w *world) wrote(from, to string) string {
	w.t.Helper()
	o, err := w.write(from, to)
	if err != nil {
		return "error " + replyText(err)
	}
	return w.outline(o)
}

func TestIdentitiesAreIssued(t *testing.T) {
	w, i := issuing(t)
	o, err := w.write("new@own.example", "x@sign.example")
	if err != nil || len(o.Deliveries) != 1 {
		t.Fatal(o, err)
	}
	if s := w.read(o.Deliveries[0].Message).Report.Signers; len(s) != 1 || s[0].Addresses[0] != "new@own.example" {
		t.Errorf("signed by %+v", s)
	}
	if got := w.wrote("new@own.example", "x@prefer.example"); got != "signed x@prefer.example" {
		t.Error(got)
	}
	if len(i.issued) != 2 {
		t.Errorf("issued for %q", i.issued)
	}
	// Who has one keeps it, and who is not asked for gets none.
	for to, want := range map[string]string{
		"x@sign.example":   "signed x@sign.example",
		"x@report.example": "plain x@report.example",
		"x@other.example":  "signed x@other.example",
	} {
		if got := w.wrote("alice@own.example", to); got != want {
			t.Errorf("alice: %s", got)
		}
	}
	for to, want := range map[string]string{
		"x@report.example": "plain x@report.example",
		"x@other.example":  "refused x@other.example 451 4.7.0",
	} {
		if got := w.wrote("newer@own.example", to); !strings.HasPrefix(got, want) {
			t.Errorf("newer: %s", got)
		}
	}
	if len(i.issued) != 2 {
		t.Errorf("issued for %q", i.issued)
	}
	if !strings.Contains(w.log.String(), `outcome=reported reason="signed: identity issued"`) {
		t.Errorf("report mode does not tell:\n%s", w.log)
	}
}

// TestNobodyElseIsIssuedFor: who may not sign as the author, or is no local address, or
// several, gets nothing made.
func TestNobodyElseIsIssuedFor(t *testing.T) {
	w, i := issuing(t)
	var err error
	w.config.Entitlements, err = enforce.CompileEntitlements([]enforce.Entitlement{{User: []string{"?*"}, From: []string{enforce.Self}}})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	for _, head := range []string{
		"From: new@own.example",                               // not logged in as them
		"From: mallory@evil.example",                          // not ours
		"From: a@own.example, b@own.example",                  // several
		"From: a@own.example\nFrom: a@own.example",            // twice
		"From: new@own.example\nAuto-Submitted: auto-replied", // automatic
	} {
		env := w.envelope("out", "alice@own.example", "x@sign.example")
		env.Client.User = "alice@own.example"
		msg := parseMessage(t, head+"\nTo: x@sign.example\n\n"+text+"\n")
		_, _ = w.process(env, msg)
	}
	if len(i.issued) != 0 {
		t.Errorf("issued for %q", i.issued)
	}
	env := w.envelope("out", "new@own.example", "x@sign.example")
	env.Client.User = "new@own.example"
	if _, err := w.process(env, parseMessage(t, "From: new@own.example\n\n"+text+"\n")); err != nil || len(i.issued) != 1 {
		t.Errorf("the author themself: %v, issued for %q", err, i.issued)
	}
}

// TestIssueFails: as without an identity, and only the log knows why.
func TestIssueFails(t *testing.T) {
	w, i := issuing(t)
	i.fail = errors.New("the store is secret-place")
	if got := w.wrote("new@own.example", "x@sign.example"); !strings.HasPrefix(got, "refused x@sign.example 451 4.7.0") || strings.Contains(got, "secret-place") {
		t.Error(got)
	}
	if got := w.wrote("new@own.example", "x@prefer.example"); got != "plain x@prefer.example" {
		t.Error(got)
	}
	if !strings.Contains(w.log.String(), "secret-place") {
		t.Errorf("the log does not tell why:\n%s", w.log)
	}
	i.fail, i.otherName = nil, true
	if got := w.wrote("new@own.example", "x@sign.example"); !strings.HasPrefix(got, "refused x@sign.example 451 4.7.0") {
		t.Errorf("with another's identity: %s", got)
	}
}

// TestUnknownIsNotIssued: where the keys cannot be asked it is unknown whether one is
// missing.
func TestUnknownIsNotIssued(t *testing.T) {
	w, i := issuing(t)
	w.config.Keys = awayKeys{}
	w.start()
	if got := w.wrote("new@own.example", "x@sign.example"); !strings.HasPrefix(got, "refused x@sign.example 451") || len(i.issued) != 0 {
		t.Errorf("%s, issued for %q", got, i.issued)
	}
}

func TestRenewal(t *testing.T) {
	w, i := issuing(t)
	i.due = true
	for to, issued := range map[string]int{"x@sign.example": 1, "x@other.example": 0, "x@report.example": 0} {
		i.issued = nil
		if w.wrote("alice@own.example", to); len(i.issued) != issued {
			t.Errorf("%s: issued for %q", to, i.issued)
		}
	}
	i.fail = errors.New("down")
	if got := w.wrote("alice@own.example", "x@sign.example"); got != "signed x@sign.example" {
		t.Errorf("the old identity does not sign on: %s", got)
	}
}

// TestExplainIssuesNothing and says what would be.
func TestExplainIssuesNothing(t *testing.T) {
	w, i := issuing(t)
	i.due = true
	x := w.explain("new@own.example", "x@sign.example", "x@other.example")
	if r := x.Recipients[0]; r.Outcome != "signed" || r.Reason != "identity issued" {
		t.Errorf("%+v", r)
	}
	if r := x.Recipients[1]; r.Outcome != "deferred" {
		t.Errorf("%+v", r)
	}
	if x.Identity != "there is no valid identity for new@own.example; one is issued if the rule permits it" {
		t.Error(x.Identity)
	}
	w.explain("alice@own.example", "x@sign.example")
	i.ready = errors.New("run: smimerelay ca init")
	x = w.explain("new@own.example", "x@sign.example")
	if r := x.Recipients[0]; r.Outcome != "deferred" || !strings.Contains(r.Reason, "none can be issued: run: smimerelay ca init") {
		t.Errorf("%+v", r)
	}
	if len(i.issued) != 0 {
		t.Errorf("issued for %q", i.issued)
	}
}
