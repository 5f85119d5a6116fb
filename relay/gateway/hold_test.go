package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
)

const (
	late   = "late@hold.example"
	never  = "never@hold.example"
	reason = "no certificate found in fake"
)

// appear gives a recipient a certificate.
func (w *world) appear(addr string) {
	id := w.issue(addr)
	w.theirs = certs.NewKeys(time.Now, id)
	w.dir.mu.Lock()
	defer w.dir.mu.Unlock()
	w.dir.results[addr] = directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{id.Certificate}}
}

// again reconsiders what an outcome holds.
func (w *world) again(h *relay.Hold, order relay.Order) *answer.Outcome {
	w.t.Helper()
	b, err := w.gateway.Reconsider(context.Background(), *h, order)
	if err != nil {
		w.t.Fatal(err)
	}
	return &answer.Outcome{Deliveries: b.Copies, Notices: b.Notices, Held: b.Held}
}

func TestHeldAndToldOnce(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{bob, late, never, "none@strip.example"},
		"encrypted bob@enc.example\nstripped none@strip.example\n"+
			"held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason+"\n"+
			"held never@hold.example no valid S/MIME certificate for never@hold.example: "+reason)
	if len(o.Notices) != 1 {
		t.Fatalf("%d notices", len(o.Notices))
	}
	n := o.Notices[0]
	raw := string(n.Message.Bytes())
	for _, want := range []string{
		"Final-Recipient: rfc822; late@hold.example\r\nAction: delayed\r\nStatus: 4.7.1",
		"Final-Recipient: rfc822; never@hold.example\r\nAction: delayed",
		"Final-Recipient: rfc822; none@strip.example\r\nAction: failed\r\nStatus: 5.7.1",
		"Will-Retry-Until: " + o.Held.Until.Format("Mon, 02 Jan 2006"), "is waiting for a certificate",
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("the notice lacks %q:\n%s", want, raw)
		}
	}
	if !n.Sender.IsNull() || n.Recipients[0].Address.String() != "alice@own.example" || strings.Contains(raw, text) {
		t.Errorf("notice from %q to %v", n.Sender, n.Recipients)
	}
	h := o.Held
	if h.Envelope.Sender.String() != "alice@own.example" || h.Envelope.Others != 2 || h.Until.Sub(h.Since) != 5*24*time.Hour ||
		!bytes.Equal(h.Message.Bytes(), w.letter(bob, late, never, "none@strip.example").Bytes()) {
		t.Errorf("held %+v", h)
	}
}

// One finds a certificate, the other waits on; no sender hears of it twice, and who
// got a copy is not in the hold any more.
func TestHeldIsReleasedEncrypted(t *testing.T) {
	w := newWorld(t)
	first := w.expect([]string{late, never}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason+
		"\nheld never@hold.example no valid S/MIME certificate for never@hold.example: "+reason)
	w.appear(late)
	o := w.again(first.Held, relay.Order{})
	if got, want := w.outline(o), "encrypted late@hold.example\nheld never@hold.example no valid S/MIME certificate for never@hold.example: "+reason; got != want {
		t.Fatalf("got %s", got)
	}
	if len(o.Notices) > 0 || !o.Held.Until.Equal(first.Held.Until) {
		t.Errorf("%d notices, until %v", len(o.Notices), o.Held.Until)
	}
	opened := w.read(o.Deliveries[0].Message)
	if opened.Report.Result != "pass" || !bytes.Contains(opened.Message.Bytes(), []byte(text)) {
		t.Errorf("what arrives reads as %+v", opened.Report)
	}
	if strings.Contains(w.log.String(), text) || !strings.Contains(w.log.String(), "outcome=released") {
		t.Errorf("log:\n%s", w.log)
	}
}

// A directory that does not answer, or a rule that changed, keeps the message
// where it is: what was held as a secret does not leave in the clear.
func TestHeldStaysASecret(t *testing.T) {
	w := newWorld(t)
	first := w.expect([]string{late}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason)
	w.dir.results[late] = w.dir.results[erin]
	if got := w.outline(w.again(first.Held, relay.Order{})); got != "held late@hold.example cannot look up the certificate of late@hold.example now: fake is unavailable" {
		t.Errorf("directory down: %s", got)
	}
	for _, rule := range []enforce.Rule{
		{Name: "default", Sign: "never", Encrypt: "never"},
		{Name: "default", Sign: "require", Encrypt: "prefer", Unavailable: "plain"},
		{Name: "default", Sign: "require", Encrypt: "require", Mode: "report"},
	} {
		w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{rule}))
		w.start()
		if got := w.outline(w.again(first.Held, relay.Order{})); !strings.HasPrefix(got, "held late@hold.example the current rules would send") {
			t.Errorf("%+v: %s", rule, got)
		}
	}
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{{Name: "default", Sign: "require", Encrypt: "require"}}))
	w.start()
	delete(w.dir.results, late)
	o := w.again(first.Held, relay.Order{})
	if w.outline(o) != "" || len(o.Notices) != 1 || !bytes.Contains(o.Notices[0].Message.Bytes(), []byte("Action: failed")) {
		t.Errorf("a rule that rejects: %s", w.outline(o))
	}
}

// After its time a message is given up with one report, which has the header and
// not the text; also when nothing can be decided.
func TestHeldExpires(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"none":   func(*world) {},
		"silent": func(w *world) { w.dir.results[late] = w.dir.results[erin] },
		"panic":  func(w *world) { w.dir.panics = true },
		"error":  func(w *world) { w.config.Domains = []string{"other.example"}; w.start() },
	} {
		w := newWorld(t)
		first := w.expect([]string{late}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason)
		spoil(w)
		h := *first.Held
		h.Until = time.Now().Add(-time.Second)
		o := w.again(&h, relay.Order{})
		if w.outline(o) != "" || len(o.Notices) != 1 {
			t.Fatalf("%s: %s with %d reports", name, w.outline(o), len(o.Notices))
		}
		raw := string(o.Notices[0].Message.Bytes())
		if !strings.Contains(raw, "Action: failed\r\nStatus: 5.7.1") || strings.Contains(raw, text) || !strings.Contains(raw, "given up") {
			t.Errorf("%s: report\n%s", name, raw)
		}
	}
}

func TestHeldByOrder(t *testing.T) {
	w := newWorld(t)
	first := w.expect([]string{late, never}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason+
		"\nheld never@hold.example no valid S/MIME certificate for never@hold.example: "+reason)
	o := w.again(first.Held, relay.Order{Verb: relay.ReleasePlain, Reason: "by phone", By: "root"})
	if got := w.outline(o); got != "signed late@hold.example never@hold.example" {
		t.Errorf("released in the clear: %s", got)
	}
	if log := w.log.String(); !strings.Contains(log, `outcome="released without encryption" reason="by phone (root)"`) || !strings.Contains(log, "level=WARN") {
		t.Errorf("log:\n%s", log)
	}
	o = w.again(first.Held, relay.Order{Verb: relay.GiveBack, Reason: "has left"})
	if w.outline(o) != "" || len(o.Notices) != 1 || !bytes.Contains(o.Notices[0].Message.Bytes(), []byte("returned by an administrator: has left")) {
		t.Errorf("given back: %s", w.outline(o))
	}
}

// A message without a sender has no one to notify: it is deferred.
func TestHoldWithoutSenderDefers(t *testing.T) {
	w := newWorld(t)
	o, err := w.process(w.envelope("out", "", late), w.letter(late))
	if err != nil {
		t.Fatal(err)
	}
	want := "refused late@hold.example 451 4.7.1 no valid S/MIME certificate for late@hold.example: " + reason
	if got := w.outline(o); got != want || len(o.Notices) > 0 {
		t.Errorf("got %s", got)
	}
}

// The number of recipients that a rule asked for is that of the whole message.
func TestHeldIsDecidedAsAPartOfTheWhole(t *testing.T) {
	w := newWorld(t)
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{
		{Name: "many", MoreRecipients: 1, Sign: "never", Encrypt: "require", NoCertificate: "hold"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	}))
	w.start()
	first := w.expect([]string{bob, late}, "encrypted bob@enc.example\nheld late@hold.example no valid S/MIME certificate for late@hold.example: "+reason)
	if got := w.outline(w.again(first.Held, relay.Order{})); !strings.HasPrefix(got, "held late@hold.example no valid") {
		t.Errorf("again: %s", got)
	}
}
