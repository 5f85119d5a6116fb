package gateway

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

const commandAddress = "smime@own.example"

// newCommanding is a world that answers mail commands, and knows what became of one message of
// alice.
func newCommanding(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@own.example"), w.issue(commandAddress))
	w.config.Commands = Commands{
		Address: w.addr(commandAddress),
		Fates: func(_ context.Context, member address.Address, id string) ([]dsn.Fate, bool, error) {
			if member.String() != "alice@own.example" || id != "<1@own.example>" {
				return nil, false, nil
			}
			return []dsn.Fate{{Recipient: w.addr(dave), Outcome: "refused", Reason: "no valid S/MIME certificate for dave@enc.example: expired"}}, false, nil
		},
	}
	w.start()
	return w
}

// command is a message with a subject to the address for commands.
func (w *world) command(subject string, header ...string) *message.Message {
	return parseMessage(w.t, "From: alice@own.example\nTo: "+commandAddress+"\nSubject: "+subject+"\nMessage-ID: <asks@own.example>\n"+strings.Join(header, "")+"\nno matter\n")
}

// answered returns the answer to a command of alice, opened.
func (w *world) answered(env *relay.Envelope, msg *message.Message) (relay.Delivery, string) {
	w.t.Helper()
	o, err := w.process(env, msg)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(o.Notices) != 1 || len(o.Returned) != 1 || len(o.Deliveries)+len(o.Refused) != 0 {
		w.t.Fatalf("outcome %+v\n%s", o, w.log)
	}
	d := o.Notices[0]
	opened := smime.Open(w.t.Context(), d.Message, smime.OpenOptions{Checker: w.config.Checker, At: time.Now()})
	if opened.Report.Result != certs.Pass || opened.Report.Author.String() != commandAddress {
		w.t.Errorf("the answer reads as %+v", opened.Report)
	}
	return d, decodedText(w.t, d.Message)
}

// What became of a command is passed on for the history, without its subject.
func TestMailCommandIsNoted(t *testing.T) {
	for _, tc := range []struct{ from, subject, header, want, outcome string }{
		{"alice@own.example", "can " + bob, "", "mail command answered: can", "answered"},
		{"alice@own.example", "the secret of bob", "", "mail command answered: help", "answered"},
		{"alice@own.example", "why", "Auto-Submitted: auto-replied\n", "mail command discarded: the message is automatic", "discarded"},
		{"zoe@own.example", "help", "", "mail command refused: mail commands are taken of their sender only", "refused"},
	} {
		w := newCommanding(t)
		var got []Decision
		w.config.Decided = func(d Decision) { got = append(got, d) }
		w.start()
		if _, err := w.process(w.envelope("out", tc.from, commandAddress), w.command(tc.subject, tc.header)); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || !strings.HasPrefix(got[0].Reason, tc.want) || got[0].Outcome != tc.outcome || got[0].Address.String() != commandAddress ||
			got[0].Size == 0 || got[0].Direction != enforce.Outbound || (got[0].Cause != "") != (tc.outcome == "refused") || strings.Contains(got[0].Reason, "secret") {
			t.Errorf("%q: %+v", tc.subject, got)
		}
	}
}

// Each command of a member is answered, signed, to the member alone, as a reply that no program
// answers.
func TestMailCommands(t *testing.T) {
	for subject, want := range map[string][]string{
		"help":                         {"why MESSAGE-ID", "can ADDRESS", commandAddress},
		"":                             {"why MESSAGE-ID"},
		"what is this":                 {"is not a command: what is this", "why MESSAGE-ID"},
		"WHY <1@own.example>":          {"<1@own.example>", dave, "was refused", "no valid S/MIME certificate", "What you can do: Ask the recipient"},
		"why 1@own.example":            {dave},
		"why <2@own.example>":          {"knows no message of yours"},
		"can " + bob:                   {"Mail to bob@enc.example can be encrypted", "valid until"},
		"can <" + dave + ">":           {"cannot be encrypted", "expired"},
		"can " + erin:                  {"cannot be found out now"},
		"can":                          {"is not a command: can"},
		"certificate":                  {"has a certificate for alice@own.example", "SHA-256"},
		"=?utf-8?q?can_bob=40enc.ex?=": {"Mail to bob@enc.ex cannot be encrypted"},
	} {
		t.Run(subject, func(t *testing.T) {
			w := newCommanding(t)
			d, text := w.answered(w.envelope("out", "alice@own.example", commandAddress), w.command(subject))
			for _, s := range want {
				if !strings.Contains(text, s) {
					t.Errorf("the answer lacks %q:\n%s", s, text)
				}
			}
			raw := string(d.Message.Bytes())
			for _, s := range []string{"Auto-Submitted: auto-replied", "In-Reply-To: <asks@own.example>", "To: alice@own.example", "From: Mail gateway <" + commandAddress + ">"} {
				if !strings.Contains(raw, s+"\r\n") {
					t.Errorf("the answer lacks %q:\n%s", s, raw)
				}
			}
			if !d.Sender.IsNull() || len(d.Recipients) != 1 || d.Recipients[0].Address.String() != "alice@own.example" || d.Direction != "" {
				t.Errorf("delivery %+v", d)
			}
			if attached := strings.Contains(raw, "application/pkix-cert"); attached != (subject == "certificate") {
				t.Errorf("a certificate is attached: %v\n%s", attached, raw)
			}
		})
	}
}

// German answers are German throughout.
func TestMailCommandInGerman(t *testing.T) {
	w := newCommanding(t)
	w.config.Texts, w.config.Contact = testpki.Must(dsn.ReadTexts("de", nil)), "https://help.own.example"
	w.start()
	for subject, want := range map[string]string{
		"why <1@own.example>": "Für dave@enc.example gibt es kein gültiges S/MIME-Zertifikat: abgelaufen", "can " + dave: "abgelaufen", "certificate": "Ihnen verschlüsselt", "help": "Fragen: https://help.own.example",
	} {
		_, text := w.answered(w.envelope("out", "alice@own.example", commandAddress), w.command(subject))
		if !strings.Contains(text, want) || strings.Contains(text, "This answer") || strings.Contains(text, "expired") {
			t.Errorf("%s:\n%s", subject, text)
		}
	}
}

// By each listener the answer takes the way of notices, and the message goes no further.
func TestMailCommandByEachListener(t *testing.T) {
	edits := func(relay.Delivery) bool { return true }
	for name, c := range map[string]struct {
		listener string
		can      relay.Capabilities
	}{"filter": {"out", relay.Capabilities{EachRecipient: true}}, "milter": {"out", relay.Capabilities{Edit: edits}}, "relay": {"auto", relay.Capabilities{}}} {
		t.Run(name, func(t *testing.T) {
			w := newCommanding(t)
			env := w.envelope(c.listener, "alice@own.example", commandAddress)
			if err := w.gateway.Recipient(t.Context(), w.envelope(c.listener, "alice@own.example"), env.Recipients[0]); err != nil {
				t.Error(err)
			}
			a, err := w.gateway.Process(t.Context(), env, w.command("help"), c.can)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(slices.Concat(a.Notices, a.Store.Notices)); n != 1 || len(a.Copies()) != 0 || a.Recipients[0].Kind != relay.Returned {
				t.Errorf("answer %+v", a)
			}
		})
	}
}

// Other recipients of the message get it.
func TestMailCommandBesideOthers(t *testing.T) {
	w := newCommanding(t)
	o, err := w.process(w.envelope("out", "alice@own.example", commandAddress, "zoe@far.example"), w.command("help"))
	if err != nil || len(o.Deliveries) != 1 || len(o.Notices) != 1 || len(o.Returned) != 1 || o.Deliveries[0].Recipients[0].Address.String() != "zoe@far.example" {
		t.Errorf("%+v, %v", o, err)
	}
}

// Who is not shown to be a member gets no answer, and no word that could be an oracle or reach
// a third.
func TestMailCommandOfOthers(t *testing.T) {
	entitled := []enforce.Entitlement{{User: []string{"alice"}, From: []string{"alice@own.example"}}}
	for name, c := range map[string]struct {
		listener, sender, user, from string
		edit                         func(*world)
		header                       string
		want                         string // "passed", "refused", "discarded" or "deferred"
	}{
		"foreign client":            {listener: "in", want: "passed"},
		"foreign sender":            {sender: "eve@far.example", want: "passed"},
		"forged From":               {from: "boss@own.example", want: "refused"},
		"foreign From":              {from: "eve@far.example", want: "refused"},
		"two authors":               {from: "alice@own.example, boss@own.example", want: "refused"},
		"no From":                   {from: "-", want: "refused"},
		"not entitled by the rules": {user: "mallory", edit: func(w *world) { w.config.Entitlements = testpki.Must(enforce.CompileEntitlements(entitled)) }, want: "refused"},
		"entitled by the rules":     {user: "alice", edit: func(w *world) { w.config.Entitlements = testpki.Must(enforce.CompileEntitlements(entitled)) }, want: "answered"},
		"null sender":               {sender: "-", want: "discarded"},
		"automatic reply":           {header: "Auto-Submitted: auto-replied\n", want: "discarded"},
		"vacation":                  {header: "X-Autoreply: yes\n", want: "discarded"},
		"list":                      {header: "List-Id: <l.own.example>\n", want: "discarded"},
		"bulk":                      {header: "Precedence: bulk\n", want: "discarded"},
		"loop":                      {sender: commandAddress, from: commandAddress, want: "discarded"},
		"program":                   {sender: "noreply@own.example", from: "noreply@own.example", want: "discarded"},
		"forwarded":                 {header: "Authentication-Results: gw.own.example; smime=pass\n", want: "refused"},
		"too many":                  {edit: func(w *world) { w.config.Commands.Allow = func(address.Address) bool { return false } }, want: "refused"},
		"no identity":               {edit: func(w *world) { w.config.Keys = w.keys }, want: "deferred"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCommanding(t)
			if c.edit != nil {
				c.edit(w)
				w.start()
			}
			or := func(s, standard string) string {
				if s == "-" {
					return ""
				}
				if s == "" {
					return standard
				}
				return s
			}
			env := w.envelope(or(c.listener, "out"), or(c.sender, "alice@own.example"), commandAddress)
			env.Client.User = c.user
			from := "From: " + or(c.from, "alice@own.example") + "\n"
			if c.from == "-" {
				from = ""
			}
			o, err := w.process(env, parseMessage(t, c.header+from+"To: "+commandAddress+"\nSubject: certificate\n\n"+text+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			got := "answered"
			switch {
			case len(o.Deliveries) == 1:
				got = "passed"
			case len(o.Refused) == 1 && relay.Temporary(o.Refused[0].Err):
				got = "deferred"
			case len(o.Refused) == 1:
				got = "refused"
			case len(o.Returned) == 1 && len(o.Notices) == 0:
				got = "discarded"
			}
			if got != c.want || (len(o.Notices) > 0) != (c.want == "answered") {
				t.Errorf("%s, want %s: %+v\n%s", got, c.want, o, w.log)
			}
		})
	}
}

// What is deferred does not count: the MTA tries it again, and it would be refused in the end.
func TestDeferredMailCommandIsNotCounted(t *testing.T) {
	w := newCommanding(t)
	counted := 0
	w.config.Commands.Allow = func(address.Address) bool { counted++; return true }
	w.config.Commands.Uncount = func(address.Address) { counted-- }
	own, err := w.config.Keys.Signing(t.Context(), w.addr(commandAddress))
	if err != nil || own == nil {
		t.Fatal(err)
	}
	away := &certs.Identity{Certificate: own.Certificate, Key: awayKey{own.Key.(crypto.Signer)}}
	for _, c := range []struct {
		name string
		keys certs.Keys
		want int
	}{
		{"no identity", w.keys, 0}, {"a token that is away", certs.NewKeys(nil, away), 0}, {"as it should be", w.config.Keys, 1},
	} {
		w.config.Keys = c.keys
		w.start()
		o, err := w.process(w.envelope("out", "alice@own.example", commandAddress),
			parseMessage(t, "From: alice@own.example\nTo: "+commandAddress+"\nSubject: certificate\n\n"+text+"\n"))
		if err != nil || counted != c.want || len(o.Notices) != c.want {
			t.Errorf("%s: counted %d with %d answers, want %d: %v", c.name, counted, len(o.Notices), c.want, err)
		}
	}
}

// Where no MTA stands before the gateway, a stranger is refused while it waits: nothing is sent
// to an address that it made up.
func TestMailCommandOfStrangerToRelay(t *testing.T) {
	w := newCommanding(t)
	env := w.envelope("auto", "alice@own.example")
	for addr, want := range map[string]int{"192.0.2.9": 0, "198.51.100.7": 550} {
		env.Client.Addr = testpki.Must(relay.ParseClient(addr))
		code := 0
		if err := w.gateway.Recipient(t.Context(), env, relay.Recipient{Address: w.addr(commandAddress)}); err != nil {
			code = relay.ReplyFor(err).Code
		}
		if code != want {
			t.Errorf("%s is answered %d", addr, code)
		}
	}
}

// What a Message-ID or an address brings cannot add a field or a line of its own.
func TestMailCommandWithInjection(t *testing.T) {
	for _, subject := range []string{
		"why =?utf-8?q?=3Ca=0D=0ABcc:_eve=40far.example=0D=0A=40b=3E?=",
		"can =?utf-8?q?a=0D=0ABcc:eve=40far.example?=",
		"=?utf-8?q?x=0D=0A=0D=0ABcc:_eve=40far.example?=",
		"why <" + strings.Repeat("a", 600) + "@b>",
	} {
		w := newCommanding(t)
		msg := parseMessage(t, "From: alice@own.example\nTo: "+commandAddress+"\nSubject: "+subject+"\nMessage-ID: <a b@own.example>\n\nx\n")
		d, text := w.answered(w.envelope("out", "alice@own.example", commandAddress), msg)
		if d.Message.Has("Bcc") || d.Message.Has("In-Reply-To") || len(d.Recipients) != 1 || strings.Contains(text, "\nBcc:") || !strings.Contains(text, "is not a command") {
			t.Errorf("%q:\n%s\n%s", subject, d.Message.Bytes(), text)
		}
	}
}

// A member without a certificate gets one where the configuration orders them, and reads how to get
// one where it does not.
func TestMailCommandForCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		ready, err error
		want       string
		issued     int
	}{
		"issued":    {want: "has a certificate for zoe@own.example", issued: 1},
		"ordered":   {err: certs.ErrOrdered, want: "has ordered one", issued: 1},
		"not ready": {ready: errors.New("not in a group"), want: "cannot order one by itself"},
		"failed":    {err: errors.New("the CA is away"), want: "Ask again later", issued: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCommanding(t)
			i := &fakeIssuer{w: w, ready: c.ready, fail: c.err}
			w.config.Issuer = i
			w.start()
			msg := parseMessage(t, "From: zoe@own.example\nTo: "+commandAddress+"\nSubject: certificate\n\nx\n")
			if _, text := w.answered(w.envelope("out", "zoe@own.example", commandAddress), msg); !strings.Contains(text, c.want) || strings.Contains(text, "CA is away") {
				t.Errorf("answer:\n%s", text)
			}
			if len(i.issued) != c.issued {
				t.Errorf("issued for %v", i.issued)
			}
		})
	}
}

// TestExplainCommands: what `explain` says of the address for commands is what process does.
func TestExplainCommands(t *testing.T) {
	w := newCommanding(t)
	why := w.command("why <1@own.example>")
	for _, tc := range []struct {
		name, sender, listener string
		client                 relay.Client
		msg                    *message.Message
		want                   string
	}{
		{"a command", "alice@own.example", "", relay.Client{}, why, "answered: as a mail command: why <1@own.example>"},
		{"no message is at hand", "alice@own.example", "", relay.Client{}, nil, "answered: as a mail command: help"},
		{"of a client that may send", "alice@own.example", "out", w.envelope("out", "alice@own.example").Client, why, "answered: as a mail command: why <1@own.example>"},
		{"with another author", "bob@own.example", "", relay.Client{}, why, "refused: mail commands are taken of their sender only: the author alice@own.example is not the sender bob@own.example"},
		{"automatic", "alice@own.example", "", relay.Client{}, w.command("help", "Auto-Submitted: auto-replied\n"), "discarded: takes mail commands, but the message is automatic or of a mailing list"},
		{"of the null sender", "", "", relay.Client{}, why, "discarded: takes mail commands, but the message has no sender to answer"},
		{"from outside", "eve@elsewhere.example", "", relay.Client{}, why, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := &relay.Envelope{ID: "x", Listener: tc.listener, Client: tc.client, Recipients: []relay.Recipient{{Address: w.addr(commandAddress)}}}
			if tc.sender != "" {
				env.Sender = w.addr(tc.sender)
			}
			x, err := w.gateway.Explain(t.Context(), env, tc.msg)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range x.Recipients {
				got += r.Outcome + ": " + r.Reason
			}
			if got != tc.want || tc.want == "" && len(x.Inbound) != 1 {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestExplainCommandWithoutIdentity: the identity that answers lack is named, and none is issued.
func TestExplainCommandWithoutIdentity(t *testing.T) {
	w := newCommanding(t)
	w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@own.example"))
	w.start()
	env := &relay.Envelope{ID: "x", Sender: w.addr("alice@own.example"), Recipients: []relay.Recipient{{Address: w.addr(commandAddress)}, {Address: w.addr("x@plain.example")}}}
	x, err := w.gateway.Explain(t.Context(), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Recipients) != 2 || x.Recipients[1].Outcome != "deferred" || !strings.HasPrefix(x.Recipients[1].Reply, "451 4.7.0 ") || !strings.Contains(x.Recipients[1].Reason, commandAddress) {
		t.Errorf("%+v", x.Recipients)
	}
}
