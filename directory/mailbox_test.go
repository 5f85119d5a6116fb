package directory

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// byAddress answers each address by what is written there.
type byAddress struct {
	Plain

	list map[string][]*x509.Certificate
	err  map[string]error
}

func (byAddress) Name() string { return "s" }

func (s byAddress) Find(_ context.Context, a address.Address) (Finding, error) {
	return Finding{Certificates: s.list[a.String()]}, s.err[a.String()]
}

// TestMailboxServesItsExtensions: the full address comes first, and the mailbox only
// where it is certain that there is nothing for that.
func TestMailboxServesItsExtensions(t *testing.T) {
	t.Parallel()
	const mailbox, extended = "bob@example.net", "bob+news@example.net"
	of, ofFull := issue(t, mailbox, 0), issue(t, extended, 0)
	for name, tt := range map[string]struct {
		delimiters string
		source     byAddress
		want       *x509.Certificate
		outcome    Outcome
	}{
		"mailbox": {"+", byAddress{list: map[string][]*x509.Certificate{mailbox: {of}}}, of, Usable},
		"both":    {"+", byAddress{list: map[string][]*x509.Certificate{mailbox: {of}, extended: {ofFull}}}, ofFull, Usable},
		"off":     {"", byAddress{list: map[string][]*x509.Certificate{mailbox: {of}}}, nil, None},
		"other":   {"-", byAddress{list: map[string][]*x509.Certificate{mailbox: {of}}}, nil, None},
		"neither": {"+", byAddress{}, nil, None},
		"full unknown": {"+", byAddress{
			list: map[string][]*x509.Certificate{mailbox: {of}}, err: map[string]error{extended: errDown},
		}, nil, Unknown},
		"mailbox unknown": {"+", byAddress{err: map[string]error{mailbox: errDown}}, nil, Unknown},
	} {
		d := open(t, Config{Sources: sources(tt.source), Checker: &fakeChecker{}, Delimiters: tt.delimiters})
		for _, look := range []func(context.Context, address.Address) Result{d.Lookup, d.Lookup, d.LookupFresh} {
			r := look(t.Context(), addr(t, extended))
			if r.Outcome != tt.outcome || (tt.want != nil) != (len(r.Certificates) == 1) || tt.want != nil && !r.Certificates[0].Equal(tt.want) {
				t.Errorf("%s: %s, %d certificates; %s", name, r.Outcome, len(r.Certificates), r.Reason())
			}
		}
	}
}

// TestMailboxIsJudgedAsItself: each certificate is held to the address that it was
// looked for, and a refusal names that and what is in the certificate.
func TestMailboxIsJudgedAsItself(t *testing.T) {
	t.Parallel()
	const extended = "bob+news@example.net"
	checker := &fakeChecker{verdicts: map[string]certs.Verdict{}}
	cert := issue(t, "robert@example.net", 0)
	checker.verdicts[string(cert.Raw)] = certs.Verdict{Result: certs.Fail, Reason: certs.WrongAddress}
	s := &fakeSource{name: "s", list: []*x509.Certificate{cert}}
	d := open(t, Config{Sources: sources(s), Checker: checker, Delimiters: "+"})
	r := d.Lookup(t.Context(), addr(t, extended))
	want := `issued for "robert@example.net", not for "bob+news@example.net", issued for "robert@example.net", not for "bob@example.net"`
	if got := r.Reason(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var asked []string
	for _, q := range checker.requests {
		for _, a := range q.Addresses {
			asked = append(asked, a.String())
		}
	}
	if got := strings.Join(asked, " "); got != extended+" bob@example.net" {
		t.Errorf("judged for %s", got)
	}
}

// TestRemembers: it knows what Lookup would not ask for, and asks no source itself.
func TestRemembers(t *testing.T) {
	t.Parallel()
	source, clock := &fakeSource{}, newFakeClock()
	d := open(t, Config{Sources: sources(source), Checker: &fakeChecker{}, Clock: clock.Now, Negative: time.Minute, Delimiters: "+"})
	extended, plain := addr(t, "bob+x@example.net"), addr(t, "bob@example.net")
	check := func(when string, a address.Address, want bool) {
		t.Helper()
		before := source.calls.Load()
		if got := d.Remembers(a); got != want || source.calls.Load() != before {
			t.Errorf("%s: %s: %v, want %v, after %d questions", when, a, got, want, source.calls.Load()-before)
		}
	}
	check("at first", plain, false)
	d.Lookup(t.Context(), plain)
	check("after a lookup", plain, true)
	check("the extension is not known", extended, false)
	d.Lookup(t.Context(), extended)
	check("after its lookup", extended, true)
	clock.advance(2 * time.Minute)
	check("too old", plain, false)
	check("too old", extended, false)
	d.Lookup(t.Context(), plain)
	d.Flush()
	check("forgotten", plain, false)
}
