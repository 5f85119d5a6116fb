package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// aliasWorld is one in which a.lund@own.example is an alias of alice@own.example.
func aliasWorld(t *testing.T) (*world, *fakeGroups) {
	t.Helper()
	w, f := groupWorld(t)
	f.members["aliases of a.lund@own.example"] = "alice@far.example other@own.example ALICE@own.example"
	w.config.SignFor, w.config.Delimiters = ForMailbox, "+"
	w.config.Policy = mustCompile(t, worldRules()...)
	w.start()
	return w, f
}

// TestSigningForTheMailbox: mail from an alias is signed with the identity of another
// address, where that is configured and the directory is sure.
func TestSigningForTheMailbox(t *testing.T) {
	signed := "signed x@sign.example"
	for name, tt := range map[string]struct {
		from   string
		change func(w *world, f *fakeGroups)
		want   string // a beginning
		reason string
	}{
		"alias":                   {want: signed},
		"extension":               {from: "alice+news@own.example", want: signed},
		"alias with an extension": {from: "a.lund+news@own.example", want: signed},
		"not configured": {change: func(w *world, _ *fakeGroups) { w.config.SignFor = ForAuthor }, want: "refused x@sign.example 451 4.7.0",
			reason: "there is no valid identity for a.lund@own.example"},
		"extension, not configured": {from: "alice+news@own.example", change: func(w *world, _ *fakeGroups) { w.config.SignFor = "" }, want: "refused x@sign.example 451 4.7.0"},
		"extension, no delimiter":   {from: "alice+news@own.example", change: func(w *world, _ *fakeGroups) { w.config.Delimiters = "" }, want: "refused x@sign.example 451 4.7.0"},
		"no groups":                 {change: func(w *world, _ *fakeGroups) { w.config.Groups = nil }, want: "refused x@sign.example 451 4.7.0"},
		"extension without groups":  {from: "alice+news@own.example", change: func(w *world, _ *fakeGroups) { w.config.Groups = nil }, want: signed},
		"no alias":                  {from: "odd@own.example", want: "refused x@sign.example 451 4.7.0"},
		"listed on one side only": {change: func(_ *world, f *fakeGroups) { f.oneWay = true }, want: "refused x@sign.example 451 4.7.0",
			reason: "a.lund@own.example is not listed as an alias of ALICE@own.example"},
		"ambiguous": {change: func(_ *world, f *fakeGroups) {
			f.conflicts = map[string]string{"alice@own.example": "secret entry"}
		}, want: "refused x@sign.example 451 4.7.0", reason: "several directory entries list a.lund@own.example or ALICE@own.example, so that it is no alias"},
		"directory down": {change: func(_ *world, f *fakeGroups) { f.errs["a.lund@own.example"] = true }, want: "refused x@sign.example 451 4.7.0",
			reason: "the aliases of a.lund@own.example cannot be looked up now"},
		"keys away": {change: func(w *world, _ *fakeGroups) { w.config.Keys = awayFor{w.keys, "alice@own.example"} }, want: "refused x@sign.example 451 4.7.0",
			reason: "the identity of ALICE@own.example cannot be reached"},
		"expired": {change: func(w *world, _ *fakeGroups) {
			w.config.Keys = certs.NewKeys(func() time.Time { return time.Now().AddDate(30, 0, 0) }, w.keys.Identities()...)
		}, want: "refused x@sign.example 451 4.7.0", reason: "there is no valid identity for a.lund@own.example"},
		"of another domain": {change: func(w *world, f *fakeGroups) {
			f.members["aliases of a.lund@own.example"] = "alice@far.example"
			w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@far.example"))
		}, want: "refused x@sign.example 451 4.7.0"},
		"client may send as the alias only": {change: func(w *world, _ *fakeGroups) { w.entitle("a.lund@own.example") },
			want: "refused x@sign.example 451 4.7.0", reason: "this client may not send as ALICE@own.example"},
		"client may send as both": {change: func(w *world, _ *fakeGroups) { w.entitle("a.lund@own.example", "alice@own.example") }, want: signed},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := aliasWorld(t)
			if tt.from == "" {
				tt.from = "a.lund@own.example"
			}
			if tt.change != nil {
				tt.change(w, f)
				w.start()
			}
			got := w.wrote(tt.from, "x@sign.example")
			if !strings.HasPrefix(got, tt.want) || !strings.Contains(got, tt.reason) {
				t.Errorf("%s, want %s… %s", got, tt.want, tt.reason)
			}
			if strings.Contains(got, "secret") || strings.Contains(got, "far.example") {
				t.Errorf("the reply says what else is in the directory: %s", got)
			}
			if log := w.log.String(); tt.want == signed && !strings.Contains(log, `outcome=signed reason="with the identity of `) {
				t.Errorf("the log does not say with which identity:\n%s", log)
			}
		})
	}
}

// entitle lets one user send as some addresses.
func (w *world) entitle(from ...string) {
	var err error
	w.config.Entitlements, err = enforce.CompileEntitlements([]enforce.Entitlement{{Listener: []string{"out"}, From: from}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// awayFor are keys of which those of one address cannot be reached.
type awayFor struct {
	certs.Keys
	address string
}

func (k awayFor) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	if strings.EqualFold(a.String(), k.address) {
		return nil, errors.New("token is away")
	}
	return k.Keys.Signing(ctx, a)
}

// TestTheAuthorsIdentityComesFirst: no directory is asked while there is one of the
// author, or one can be issued.
func TestTheAuthorsIdentityComesFirst(t *testing.T) {
	w, f := aliasWorld(t)
	f.errs["alice@own.example"] = true
	if got := w.wrote("alice@own.example", "x@sign.example"); got != "signed x@sign.example" {
		t.Error(got)
	}
	i := &fakeIssuer{w: w}
	w.config.Issuer = i
	w.rules(enforce.Rule{Name: "issue", Recipient: []string{"sign.example"}, Sign: "require", Encrypt: "never", Issue: true}, enforce.Rule{Name: "default", Sign: "require", Encrypt: "never"})
	o, err := w.write("a.lund@own.example", "x@sign.example")
	if err != nil {
		t.Fatal(err)
	}
	if s := w.read(o.Deliveries[0].Message).Report.Signers; len(s) != 1 || s[0].Addresses[0] != "a.lund@own.example" {
		t.Errorf("signed by %+v", s)
	}
	if x := w.explain("a.lund@own.example", "x@sign.example"); x.Recipients[0].Reason != "identity issued" || len(x.IdentityNotes) > 0 {
		t.Errorf("%+v", x)
	}
	if f.asked["aliases of a.lund@own.example"] > 0 {
		t.Errorf("asked %v", f.asked)
	}
	i.fail = errors.New("the authority is away")
	if got := w.wrote("a.lund@own.example", "x@sign.example"); got != "signed x@sign.example" {
		t.Errorf("none can be issued: %s", got)
	}
}

// TestExplainSaysWhichIdentitySigns, and why none does.
func TestExplainSaysWhichIdentitySigns(t *testing.T) {
	w, f := aliasWorld(t)
	x := w.explain("a.lund@own.example", "x@sign.example")
	if r := x.Recipients[0]; x.Identity != "available" || r.Outcome != "signed" ||
		r.Reason != "with the identity of ALICE@own.example: a.lund@own.example is the same mailbox" ||
		!slices.Equal(x.IdentityNotes, []string{r.Reason + "; the certificate does not name the author, so mail programs may warn (RFC 8550 section 3)"}) {
		t.Errorf("%+v", x)
	}
	f.conflicts = map[string]string{"alice@own.example": "two entries"}
	x = w.explain("a.lund@own.example", "x@sign.example")
	if x.Recipients[0].Outcome != "deferred" || !slices.Equal(x.IdentityNotes, []string{"two entries"}) {
		t.Errorf("%+v", x)
	}
	f.conflicts = nil
	w.config.Keys = certs.NewKeys(func() time.Time { return time.Now().AddDate(30, 0, 0) }, w.keys.Identities()...)
	w.start()
	x = w.explain("a.lund@own.example", "x@sign.example")
	if len(x.IdentityNotes) != 1 || !strings.HasPrefix(x.IdentityNotes[0], "the identity of ALICE@own.example, listed beside a.lund@own.example, is not valid: expired ") {
		t.Errorf("%+v", x)
	}
}

// TestDecryptingByAnAliasIsSaid in the log and by explain, and nowhere else; so is why an
// ambiguous one does not count.
func TestDecryptingByAnAliasIsSaid(t *testing.T) {
	w, f := aliasWorld(t)
	secret := w.toAlice(w.bobsLetter(""))
	env := w.envelope("in", bob, "alice@own.example", "a.lund@own.example")
	const note = "decrypted with the identity of alice@own.example: a.lund@own.example is the same mailbox"
	o, err := w.process(env, secret)
	if err != nil || len(o.Deliveries) != 1 {
		t.Fatal(o, err)
	}
	if log := w.log.String(); strings.Count(log, note) != 1 || !strings.Contains(log, `recipient=a.lund@own.example rule="" outcome=pass reason="`+note+`"`) {
		t.Errorf("log:\n%s", log)
	}
	if got := o.Deliveries[0].Message.Get(statusField) + o.Deliveries[0].Message.Get(resultsField); strings.Contains(got, "mailbox") {
		t.Errorf("the message says %s", got)
	}
	x, err := w.gateway.Explain(t.Context(), env, secret)
	if err != nil || len(x.Inbound) != 1 || !slices.Equal(x.Inbound[0].Notes, []string{note}) {
		t.Errorf("%v, %+v", err, x)
	}
	f.conflicts = map[string]string{"alice@own.example": "two entries"}
	x, err = w.gateway.Explain(t.Context(), env, secret)
	if err != nil || len(x.Inbound) != 2 || len(x.Inbound[0].Notes) > 0 || !strings.HasSuffix(x.Inbound[1].Report.Detail, "; two entries") || len(x.Inbound[1].Notes) > 0 {
		t.Errorf("%v, %+v", err, x)
	}
}
