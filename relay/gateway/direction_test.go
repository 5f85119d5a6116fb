package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// stranger is a client that may not send in our name by any listener but "out".
var stranger = relay.Client{Addr: netip.MustParseAddr("198.51.100.1")}

const (
	mallory = "mallory@evil.example"
	notOurs = "the author mallory@evil.example is not of a local domain"
)

// letterFrom is a message of an author to whom it is sent.
func (w *world) letterFrom(author string, to ...string) *message.Message {
	return parseMessage(w.t, fmt.Sprintf("From: %s\nTo: %s\nSubject: confidential-subject\n\n%s\n", author, strings.Join(to, ", "), text))
}

// becomes is what became of each recipient, in the order of their addresses: the
// form of the copy, or the reply.
func (w *world) becomes(o *answer.Outcome) []string {
	var all []string
	for _, d := range o.Deliveries {
		form := "clear"
		if isEncrypted(d.Message) {
			form = "encrypted"
			if opened := w.read(d.Message); len(opened.Report.Signers) > 0 {
				form = "signed, encrypted"
			}
		} else if isSigned(d.Message) {
			form = "signed"
		}
		if d.Message.Get("X-SMIME-Status") != "" {
			form += ", stamped"
		}
		for _, r := range d.Recipients {
			all = append(all, r.Address.String()+": "+form)
		}
	}
	for _, r := range o.Refused {
		all = append(all, r.Recipient.Address.String()+": "+replyText(r.Err))
	}
	if o.Held != nil {
		for _, r := range o.Held.Envelope.Recipients {
			all = append(all, r.Address.String()+": held")
		}
	}
	slices.Sort(all)
	return all
}

// by passes a message of an author through a listener as a client.
func (w *world) by(listener string, c relay.Client, author string, to ...string) string {
	w.t.Helper()
	env := w.envelope(listener, "bounces@evil.example", to...)
	env.Client = c
	for _, r := range env.Recipients {
		if err := w.gateway.Recipient(context.Background(), env, r); err != nil {
			return "at RCPT: " + replyText(err)
		}
	}
	o, err := w.process(env, w.letterFrom(author, to...))
	if err != nil {
		return replyText(err)
	}
	return strings.Join(w.becomes(o), "\n")
}

// TestOutsideIsReachedByTheOutboundRules: whatever listener the message came by
// and whatever its author, nothing that must be encrypted leaves in the clear.
func TestOutsideIsReachedByTheOutboundRules(t *testing.T) {
	w := newWorld(t)
	w.config.Listeners = append(w.config.Listeners, Listener{Name: "filter", Direction: "auto", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	w.start()
	const cannot = "550 5.7.1 the message must be signed, but cannot be: this client may not send as alice@own.example: not authenticated, and not in networks of listener "
	printer := relay.Client{Addr: netip.MustParseAddr("192.0.2.9")}
	for _, tt := range []struct {
		listener string
		client   relay.Client
		author   string
		to       string
		want     string
	}{
		{"in", stranger, mallory, bob, "bob@enc.example: encrypted"},
		{"in", stranger, mallory, dave, "at RCPT: 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01"},
		{"in", stranger, mallory, erin, "erin@enc.example: 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake is unavailable"},
		{"in", stranger, mallory, "x@prefer.example", "x@prefer.example: encrypted"},
		{"in", stranger, mallory, "x@sign.example", "x@sign.example: clear"},
		{"in", stranger, mallory, "x@plain.example", "x@plain.example: clear"},
		{"in", stranger, mallory, late, "late@hold.example: held"},
		{"in", stranger, mallory, "alice@own.example", "alice@own.example: clear, stamped"},
		{"in", stranger, "alice@own.example", bob, "bob@enc.example: " + cannot + `"in"`},
		{"in", stranger, "alice@own.example", "x@prefer.example", "x@prefer.example: encrypted"},
		{"in", stranger, "alice@own.example", "x@sign.example", "x@sign.example: " + cannot + `"in"`},
		{"in", stranger, "alice@own.example", late, "late@hold.example: " + cannot + `"in"`},
		{"in", stranger, "alice@own.example, " + mallory, "x@sign.example", "x@sign.example: 550 5.7.1 the message must be signed, but cannot be: the message has several From addresses"},
		{"in", relay.Client{Addr: stranger.Addr, User: "alice"}, "alice@own.example", bob, "bob@enc.example: signed, encrypted"},
		{"in", relay.Client{Addr: stranger.Addr, User: "alice"}, "bob@evil.example", "alice@own.example", "alice@own.example: clear, stamped"},
		{"filter", stranger, "alice@own.example", bob, "bob@enc.example: " + cannot + `"filter"`},
		{"filter", stranger, mallory, bob, "bob@enc.example: encrypted"},
		{"filter", printer, "alice@own.example", bob, "bob@enc.example: signed, encrypted"},
		{"filter", printer, mallory, bob, "bob@enc.example: encrypted"},
		{"filter", printer, "alice@own.example", "x@own.example", "x@own.example: clear"},
		{"auto", stranger, mallory, bob, "at RCPT: 550 5.7.1 relaying to bob@enc.example denied"},
		{"auto", stranger, "alice@own.example", "x@plain.example", "at RCPT: 550 5.7.1 relaying to x@plain.example denied"},
		{"auto", printer, mallory, "x@sign.example", "x@sign.example: clear"},
		{"out", stranger, mallory, bob, "bob@enc.example: encrypted"},
		{"out", stranger, "alice@own.example", bob, "bob@enc.example: signed, encrypted"},
		{"gone", stranger, mallory, bob, "at RCPT: 451 4.3.0 the listener is being reconfigured, try again later"},
	} {
		if got := w.by(tt.listener, tt.client, tt.author, tt.to); got != tt.want {
			t.Errorf("by %s, client %+v, from %s, to %s:\n got %s\nwant %s", tt.listener, tt.client, tt.author, tt.to, got, tt.want)
		}
	}
}

// What RCPT refuses is refused again with the message: the parts may have been
// exchanged in between.
func TestRelayIsNotOpenForMessages(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("auto", mallory, "alice@own.example", bob)
	env.Client = stranger
	o, err := w.process(env, w.letterFrom(mallory, bob))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alice@own.example: clear, stamped", "bob@enc.example: 550 5.7.1 relaying to bob@enc.example denied"}
	if got := w.becomes(o); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestBothDirections: each recipient of one message gets what their side of the
// house needs, and is answered for once.
func TestBothDirections(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("in", mallory, "alice@own.example", bob, "x@plain.example", dave, late)
	env.Client = stranger
	o, err := w.process(env, w.letterFrom(mallory, "team@own.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.becomes(o); got[0] != "alice@own.example: clear, stamped" || !slices.Contains(got, "bob@enc.example: encrypted") ||
		slices.Contains(got, "x@plain.example: clear, stamped") || !slices.Contains(got, "late@hold.example: held") || len(got) != 5 {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(w.log.String(), "direction=inbound sender=mallory@evil.example recipient=alice@own.example") ||
		!strings.Contains(w.log.String(), "direction=outbound sender=mallory@evil.example recipient=bob@enc.example") {
		t.Errorf("the log does not tell the directions:\n%s", w.log)
	}
	if o.Held.Envelope.Others != 4 {
		t.Errorf("%d others", o.Held.Envelope.Others)
	}
}

// The postmaster of this host is ours, one of another host is outside.
func TestPostmasterOutside(t *testing.T) {
	w := newWorld(t)
	w.config.Domains = []string{"other.example"}
	for to, want := range map[string]enforce.Direction{"postmaster@gw.own.example": enforce.Inbound, bob: enforce.Outbound} {
		w.config.Postmaster = w.addr(to)
		w.start()
		if got := w.gateway.Direction(w.envelope("in", mallory), w.addr(to)); got != want {
			t.Errorf("%s: %s", to, got)
		}
	}
}

// TestExit: with a next hop of their own, what goes to recipients outside leaves by
// it, whatever the MTA could do with its message.
func TestExit(t *testing.T) {
	w := newWorld(t)
	for _, exit := range []bool{false, true} {
		w.config.Exit = nil
		if exit {
			w.config.Exit = func(d relay.Delivery) bool {
				return slices.ContainsFunc(d.Recipients, func(r relay.Recipient) bool { return r.Address.Domain() != "own.example" })
			}
		}
		w.start()
		for _, tt := range []struct {
			listener string
			to       []string
			want     bool
		}{
			{"out", []string{"x@plain.example"}, true},
			{"out", []string{"x@own.example"}, false},
			{"out", []string{"x@own.example", "x@plain.example"}, true},
			{"in", []string{"x@own.example"}, false},
			{"in", []string{"x@own.example", "x@plain.example"}, true},
			{"out", []string{"x@own.example", dave}, false},
		} {
			o, err := w.process(w.envelope(tt.listener, "alice@own.example", tt.to...), w.letter(tt.to...))
			if err != nil {
				t.Fatal(err)
			}
			if o.ByNextHop != (tt.want && exit) {
				t.Errorf("exit %v, by %s to %s: %v", exit, tt.listener, tt.to, o.ByNextHop)
			}
		}
	}
}

// A part that is refused as a whole does not take the other with it.
func TestPartRefusedAsAWhole(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("in", mallory, "alice@own.example", bob)
	o, err := w.process(env, parseMessage(t, "To: alice@own.example\n\n"+text+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alice@own.example: clear, stamped", "bob@enc.example: 550 5.6.0 the message has no From field"}
	if got := w.becomes(o); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// The other way round: our keys cannot be asked, and the copy outside needs none.
func TestInboundPartDeferred(t *testing.T) {
	w := newWorld(t)
	m := w.toAlice(w.bobsLetter(""))
	w.config.Keys = awayKeys{}
	w.start()
	o, err := w.process(w.envelope("in", bob, "alice@own.example", "x@plain.example"), m)
	if err != nil {
		t.Fatal(err)
	}
	got := w.becomes(o)
	if len(got) != 2 || !strings.HasPrefix(got[0], "alice@own.example: 451 4.7.0 ") || got[1] != "x@plain.example: encrypted" {
		t.Errorf("got %q", got)
	}
}

// countingKeys counts who asks for a key to sign with.
type countingKeys struct {
	certs.Keys
	asked map[string]int
}

func (k countingKeys) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	k.asked[a.String()]++
	return k.Keys.Signing(ctx, a)
}

// No key is looked for in the name of an outside author.
func TestNoKeyForOutsideAuthors(t *testing.T) {
	w := newWorld(t)
	keys := countingKeys{w.config.Keys, map[string]int{}}
	w.config.Keys = keys
	w.start()
	w.by("in", stranger, mallory, bob)
	if keys.asked[mallory] != 0 {
		t.Errorf("asked for %v", keys.asked)
	}
}

// What was encrypted to us goes out as it came, beside a local recipient who
// reads it.
func TestNothingDecryptedGoesOut(t *testing.T) {
	for _, decryptFor := range []DecryptFor{ForNamed, ForAnyone} {
		w := newWorld(t)
		w.config.Inbound.DecryptFor = decryptFor
		w.start()
		m := w.toAlice(w.bobsLetter(""))
		o, err := w.process(w.envelope("in", bob, "alice@own.example", carol, "x@plain.example"), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range o.Deliveries {
			own := d.Recipients[0].Address == w.addr("alice@own.example")
			if own != bytes.Contains(d.Message.Bytes(), []byte(text)) {
				t.Errorf("%s: %s gets\n%s", decryptFor, d.Recipients[0].Address, d.Message.Bytes())
			}
		}
	}
}

// What an outsider wrote and the house holds goes out encrypted and unsigned.
func TestHeldMailOfOutsiders(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("in", mallory, late)
	env.Client = stranger
	o, err := w.process(env, w.letterFrom(mallory, late))
	if err != nil || o.Held == nil {
		t.Fatalf("not held: %+v, %v", o, err)
	}
	w.appear(late)
	if got := w.becomes(w.again(o.Held, relay.Order{})); !slices.Equal(got, []string{"late@hold.example: encrypted"}) {
		t.Errorf("got %q", got)
	}
}

// What is held waits when it is no longer known whether its client may sign:
// the listener is gone.
func TestHeldByAListenerThatIsGone(t *testing.T) {
	w := newWorld(t)
	o, err := w.send(late)
	if err != nil || o.Held == nil {
		t.Fatalf("not held: %+v, %v", o, err)
	}
	w.appear(late)
	all := w.config.Listeners
	w.config.Listeners = all[1:]
	w.start()
	o = w.again(o.Held, relay.Order{})
	if o.Held == nil || !strings.Contains(o.Held.Reasons[0], `listener "out" is not configured`) {
		t.Fatalf("became %q, %+v", w.becomes(o), o.Held)
	}
	w.config.Listeners = all
	w.start()
	if got := w.becomes(w.again(o.Held, relay.Order{})); !slices.Equal(got, []string{"late@hold.example: signed, encrypted"}) {
		t.Errorf("got %q", got)
	}
}

// A message that came in from outside under the name of a colleague is not signed
// when a mailbox server, which may send, forwards it; what must be encrypted is.
func TestForwardOfWhatCameInIsNotSigned(t *testing.T) {
	w := newWorld(t)
	o, err := w.process(w.envelope("in", mallory, "x@own.example"), w.letterFrom("alice@own.example", "x@own.example"))
	if err != nil {
		t.Fatal(err)
	}
	stamps := o.Deliveries[0].Message
	results := parseMessage(t, "Authentication-Results: gw.own.example; smime=none\nFrom: alice@own.example\n\n"+text+"\n")
	others := parseMessage(t, "Authentication-Results: mx.own.example; dkim=none\nFrom: alice@own.example\n\n"+text+"\n")
	const no = ": 550 5.7.1 the message must be signed, but cannot be: the message is forwarded: its author alice@own.example is not the local sender"
	for _, tt := range []struct {
		m    *message.Message
		to   string
		want string
	}{
		{stamps, bob, bob + no},
		{stamps, "x@sign.example", "x@sign.example" + no},
		{stamps, "x@prefer.example", "x@prefer.example: encrypted"},
		{results, bob, bob + no},
		{others, bob, bob + ": signed, encrypted"},
	} {
		o, err := w.process(w.envelope("out", mallory, tt.to), tt.m)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.becomes(o); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("to %s: got %q", tt.to, got)
		}
	}
}

// explained is what Explain says of each recipient.
func (w *world) explained(env *relay.Envelope, msg *message.Message) string {
	w.t.Helper()
	x, err := w.gateway.Explain(context.Background(), env, msg)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, i := range x.Inbound {
		all = append(all, strings.Join(i.Recipients, ", ")+": inbound")
	}
	if x.Refused != "" {
		all = append(all, "refused: "+x.Refused)
	}
	for _, r := range x.Recipients {
		all = append(all, strings.TrimSpace(r.Address+": "+r.Outcome+" "+r.Reply))
	}
	return string(x.Direction) + "; " + strings.Join(all, "; ")
}

// TestExplainTakesTheWayOfAMessage: with a listener and a client the explanation
// is what would happen.
func TestExplainTakesTheWayOfAMessage(t *testing.T) {
	w := newWorld(t)
	entitlements, err := enforce.CompileEntitlements([]enforce.Entitlement{{User: []string{"alice"}, From: []string{"alice@own.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Entitlements = entitlements
	w.config.Listeners = append(w.config.Listeners, Listener{Name: "guarded", Direction: "outbound", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	w.start()
	mayNot := "550 5.7.1 the message must be signed, but cannot be: this client may not send as alice@own.example"
	for _, tt := range []struct {
		listener, user, client, from string
		to                           []string
		want                         string
	}{
		{"", "", "", "alice@own.example", []string{bob}, "outbound; bob@enc.example: signed, encrypted"},
		{"", "", "", "alice@own.example", []string{"x@own.example"}, "outbound; x@own.example: passed"},
		{"", "alice", "", "alice@own.example", []string{bob}, "outbound; bob@enc.example: signed, encrypted"},
		{"", "eve", "", "alice@own.example", []string{bob}, "outbound; bob@enc.example: refused " + mayNot},
		{"", "", "192.0.2.1", "alice@own.example", []string{bob}, "outbound; bob@enc.example: refused " + mayNot},
		{"", "", "", mallory, []string{"alice@own.example", bob}, "both; alice@own.example: inbound; bob@enc.example: encrypted"},
		{"in", "", "198.51.100.1", "alice@own.example", []string{bob}, "outbound; bob@enc.example: refused " + mayNot + `: not authenticated, and not in networks of listener "in"`},
		{"in", "", "", mallory, []string{"alice@own.example", bob}, "both; alice@own.example: inbound; bob@enc.example: encrypted"},
		{"in", "alice", "", "alice@own.example", []string{"x@own.example"}, "inbound; x@own.example: inbound"},
		{"auto", "", "198.51.100.1", "alice@own.example", []string{bob}, "outbound; refused: 550 5.7.1 relaying to bob@enc.example denied"},
		{"auto", "alice", "198.51.100.1", "alice@own.example", []string{bob}, "outbound; bob@enc.example: signed, encrypted"},
		{"auto", "alice", "198.51.100.1", "alice@own.example", []string{"x@own.example"}, "outbound; x@own.example: passed"},
		{"guarded", "", "198.51.100.1", "alice@own.example", []string{bob}, "outbound; refused: 550 5.7.1 this client may not send mail here"},
		{"guarded", "", "192.0.2.1", "alice@own.example", []string{bob}, "outbound; bob@enc.example: refused " + mayNot},
		{"away", "", "", "alice@own.example", []string{bob}, `listener: "away": not configured; configured listeners: ["auto" "guarded" "in" "out"]`},
	} {
		env := w.envelope(tt.listener, tt.from, tt.to...)
		env.Client = relay.Client{User: tt.user}
		if tt.client != "" {
			env.Client.Addr = netip.MustParseAddr(tt.client)
		}
		if got := w.explained(env, nil); got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt, got, tt.want)
		}
		if tt.listener == "" || tt.listener == "away" {
			continue
		}
		o, err := w.process(env, w.letterFrom(tt.from, tt.to...))
		switch {
		case err != nil && !strings.Contains(tt.want, replyText(err)):
			t.Errorf("%+v: the message gets %s", tt, replyText(err))
		case err == nil:
			for _, line := range w.becomes(o) {
				to, reply, _ := strings.Cut(line, ": 550 ")
				if reply != "" && !strings.Contains(tt.want, to+": refused 550 "+reply) {
					t.Errorf("%+v: the message gets %s", tt, line)
				}
			}
		}
	}
	if x, _ := w.gateway.Explain(context.Background(), w.nameless(mallory, bob), nil); x.Identity != "not signed: "+notOurs {
		t.Errorf("identity %q", x.Identity)
	}
}
