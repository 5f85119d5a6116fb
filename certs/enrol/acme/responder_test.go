package acme_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

// results is what a server in front of the gateway found.
const results = "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=ca.example;\r\n\tdkim=pass (2048-bit key) header.d=ca.example header.s=s\r\n"

// trusting trusts that server.
func trusting(_ *acme.Config, d *acme.ResponderEnrolment) { d.Servers = []string{"mx.example.org"} }

// broken breaks the DKIM signature of a message.
func broken(raw []byte) []byte {
	return bytes.Replace(raw, []byte("for a program"), []byte("for a Program"), 1)
}

// TestTaken: what the RFC allows is recognized.
func TestTaken(t *testing.T) {
	for name, make := range map[string]func(*world, acmetest.Message) []byte{
		"DKIM": func(w *world, m acmetest.Message) []byte { return w.signed(m.Bytes(), "ca.example") },
		"without a type": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Auto-Submitted: auto-generated"), "ca.example")
		},
		"folded token": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Subject: ACME: "+m.Token[:9]+"\r\n "+m.Token[9:]), "ca.example")
		},
		"encoded word": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Subject: =?us-ascii?q?ACME=3A_"+strings.ReplaceAll(m.Token, "_", "=5F")+"?="), "ca.example")
		},
		"display names": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes(`From: "The CA, Inc." <acme-challenge@CA.example>`, "To: Alice <ALICE@example.org>"), "ca.example")
		},
		"two signatures": func(w *world, m acmetest.Message) []byte {
			return w.signed(w.signed(m.Bytes(), "list.example"), "ca.example")
		},
		"verified before the gateway": func(w *world, m acmetest.Message) []byte {
			w.configure(trusting)
			return append([]byte(results), broken(w.signed(m.Bytes(), "ca.example"))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			m := w.ordered()
			if v, err := w.take(make(w, m)); err != nil || !v.Taken || v.Reason != "" {
				t.Fatalf("%+v, %v", v, err)
			}
			w.answers() // the server checks them
			if w.server.Replies() != 1 {
				t.Error("not answered")
			}
		})
	}
}

// TestForged: nothing else is answered.
func TestForged(t *testing.T) {
	w := newWorld(t, nil)
	m := w.ordered()
	for name, make := range map[string]func(*world, acmetest.Message) []byte{
		"not signed":      func(_ *world, m acmetest.Message) []byte { return m.Bytes() },
		"broken DKIM":     func(w *world, m acmetest.Message) []byte { return broken(w.signed(m.Bytes(), "ca.example")) },
		"another domain":  func(w *world, m acmetest.Message) []byte { return w.signed(m.Bytes(), "evil.example") },
		"a parent domain": func(w *world, m acmetest.Message) []byte { return w.signed(m.Bytes(), "example") },
		"another key":     func(w *world, m acmetest.Message) []byte { w.dns = nil; return w.signed(m.Bytes(), "ca.example") },
		"a subject that is not signed": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes(), "ca.example", without("Subject")...)
		},
		"an added Reply-To": func(w *world, m acmetest.Message) []byte {
			return append([]byte("Reply-To: evil@evil.example\r\n"), w.signed(m.Bytes(), "ca.example", without("Reply-To")...)...)
		},
		"two subjects": func(w *world, m acmetest.Message) []byte {
			return append([]byte("Subject: ACME: "+m.Token+"\r\n"), w.signed(m.Bytes("Subject: Hello"), "ca.example")...)
		},
		"a short token": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Subject: ACME: "+m.Token[:21]), "ca.example")
		},
		"no token": func(w *world, m acmetest.Message) []byte { return w.signed(m.Bytes("Subject: ACME:"), "ca.example") },
		"a token of others": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Subject: ACME: "+m.Token+"!"), "ca.example")
		},
		"a reply": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Subject: Re: ACME: "+m.Token), "ca.example")
		},
		"not automatic": func(w *world, m acmetest.Message) []byte { return w.signed(m.Bytes("Auto-Submitted:"), "ca.example") },
		"automatic reply": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Auto-Submitted: auto-replied"), "ca.example")
		},
		"of another type": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Auto-Submitted: auto-generated; type=x"), "ca.example")
		},
		"from another": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("From: other@ca.example"), "ca.example")
		},
		"from two": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("From: "+m.From+", x@ca.example"), "ca.example")
		},
		"to another": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("To: bob@example.org"), "ca.example")
		},
		"to two": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("To: "+alice+", bob@example.org"), "ca.example")
		},
		"replies to two": func(w *world, m acmetest.Message) []byte {
			return w.signed(m.Bytes("Reply-To: a@ca.example, b@ca.example"), "ca.example")
		},
		"results of no one": func(w *world, m acmetest.Message) []byte {
			return append([]byte(results), broken(w.signed(m.Bytes(), "ca.example"))...)
		},
		"too large": func(w *world, m acmetest.Message) []byte {
			return w.signed(append(m.Bytes(), bytes.Repeat([]byte("x\r\n"), 100000)...), "ca.example")
		},
		"nested": func(w *world, m acmetest.Message) []byte {
			outer := acmetest.Message{From: m.From, To: m.To, Token: "x"}.Bytes("Subject: Fwd", "Content-Type: message/rfc822")
			return w.signed(append(outer[:bytes.Index(outer, []byte("\r\n\r\n"))+4], w.signed(m.Bytes(), "ca.example")...), "ca.example")
		},
		"results, and a weak signature": func(w *world, m acmetest.Message) []byte {
			w.configure(trusting)
			return append([]byte(results), broken(w.signed(m.Bytes(), "ca.example", "From", "To"))...)
		},
		"results, and a signature of a part": func(w *world, m acmetest.Message) []byte {
			w.configure(trusting)
			raw := broken(w.signed(m.Bytes(), "ca.example"))
			return append([]byte(results), bytes.Replace(raw, []byte("DKIM-Signature: "), []byte("DKIM-Signature: l=4; "), 1)...)
		},
		"results, and no signature": func(w *world, m acmetest.Message) []byte {
			w.configure(trusting)
			return append([]byte(results), m.Bytes()...)
		},
	} {
		dns := w.dns
		raw := make(w, m)
		if v, err := w.take(raw); err != nil || v.Taken {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		w.dns = dns
		w.configure(nil)
	}
	w.must(w.store.CancelOrders(t.Context(), w.order().Bundle))
	if v, err := w.take(w.signed(m.Bytes(), "ca.example")); err != nil || v.Taken {
		t.Errorf("without an order: %+v, %v", v, err)
	}
	w.answers()
	if len(w.sent) != 0 {
		t.Errorf("answered: %s", w.sent[0])
	}
}

// without are the fields that must be signed but one.
func without(name string) []string {
	return slices.DeleteFunc(append(acme.Covered(), "Content-Type"), func(n string) bool { return n == name })
}

// TestTwoTables: a message is judged by the table of the order that waits for it, whatever other
// order there is for the address.
func TestTwoTables(t *testing.T) {
	for name, want := range map[string]bool{table: true, "other": false} {
		w := newWorld(t, nil)
		m := w.ordered()
		other := store.Order{ID: "0000", Bundle: "0000", Address: addr(alice), Enrolment: "other", Purpose: store.ForSigning, Key: w.order().Key,
			OrderedAt: w.clock().Add(-day), NextAt: w.clock(), State: store.OrderReady}
		w.must(w.store.PutOrders(t.Context(), store.OrderLimits{}, other))
		if claimed, err := w.store.ClaimOrder(t.Context(), &other, w.clock().Add(time.Minute)); !claimed || err != nil {
			t.Fatal(err)
		}
		other.Reference = []byte(`{"order":"https://other.example/1","challenge":"https://other.example/2","from":"ca@other.example","token":"x"}`)
		w.must(w.store.NoteOrder(t.Context(), &other))
		for enrolment, e := range map[string]acme.ResponderEnrolment{"other": {}, table: w.responder.Enrolments[table]} {
			if enrolment == name {
				e.Servers = []string{"mx.example.org"}
			}
			w.responder.Enrolments[enrolment] = e
		}
		raw := append([]byte(results), broken(w.signed(m.Bytes(), "ca.example"))...)
		if v, err := w.take(raw); err != nil || v.Taken != want {
			t.Errorf("the server is trusted for %q: %+v, %v", name, v, err)
		}
	}
}

// TestSigner: an S/MIME signature of the author does, one of others does not.
func TestSigner(t *testing.T) {
	for signer, want := range map[string]bool{"acme-challenge@ca.example": true, "other@ca.example": false} {
		w := newWorld(t, nil)
		m := &acme.Mail{Message: testpki.Must(message.Parse(w.ordered().Bytes())), To: addr(alice), Signer: addr(signer)}
		if v, err := w.responder.Take(t.Context(), m); err != nil || v.Taken != want {
			t.Errorf("%s: %+v, %v", signer, v, err)
		}
	}
}

// TestUnknown: what cannot be decided now waits at the client.
func TestUnknown(t *testing.T) {
	w := newWorld(t, nil)
	raw := w.signed(w.ordered().Bytes(), "ca.example")
	w.down = errors.New("no resolver")
	if v, err := w.take(raw); err == nil || !fault.Of(err).Kind.Temporary() || v.Taken {
		t.Errorf("%+v, %v", v, err)
	}
	w.down = nil
	o := w.order()
	o.Reference = nil
	w.must(w.store.NoteOrder(t.Context(), &o))
	if claimed, err := w.store.ClaimOrder(t.Context(), &o, w.clock().Add(time.Minute)); !claimed || err != nil {
		t.Fatal(err)
	}
	if v, err := w.take(raw); err == nil || !fault.Of(err).Kind.Temporary() || v.Taken {
		t.Errorf("while the order is made: %+v, %v", v, err)
	}
	w.work(time.Hour)
	if v, err := w.take(w.signed(w.mails[1].Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestReplyTo: the answer goes to Reply-To, and says what it answers.
func TestReplyTo(t *testing.T) {
	w := newWorld(t, nil)
	w.server.ReplyTo = "answers@ca.example"
	if v, err := w.take(w.signed(w.ordered().Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Fatalf("%+v, %v", v, err)
	}
	w.answers()
	text := string(w.sent[0])
	for _, want := range []string{"From: " + alice + "\r\n", "To: answers@ca.example\r\n", "Auto-Submitted: auto-replied; type=acme\r\n", "\r\nReferences: <"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestSendAgain: an answer that could not be sent is sent later, and one of which it is not
// known whether it was, again: it is the same message.
func TestSendAgain(t *testing.T) {
	w := newWorld(t, nil)
	if v, err := w.take(w.signed(w.ordered().Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Fatalf("%+v, %v", v, err)
	}
	var sent []string
	for n := range 3 {
		err := w.responder.Answers(t.Context(), func(_ context.Context, a acme.Answer) error {
			sent = append(sent, a.Message.Get("Message-ID"))
			return errors.New("queue full")
		})
		if (err == nil) != (n == 1) {
			t.Errorf("%d: %v", n, err)
		}
		if n == 1 {
			w.advance(2 * time.Minute)
		}
	}
	w.advance(2 * time.Hour)
	w.answers()
	if len(sent) != 2 || sent[0] != sent[1] || w.server.Replies() != 1 || !strings.Contains(string(w.sent[0]), sent[0]) {
		t.Errorf("%q, %d replies", sent, w.server.Replies())
	}
	if all := testpki.Must(w.store.DueChallenges(t.Context(), w.clock().Add(day))); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// TestAnswerOfOneThatEnds: a process that is to end in the middle of an attempt leaves the answer
// due at once, and one that it has sent noted.
func TestAnswerOfOneThatEnds(t *testing.T) {
	w := newWorld(t, nil)
	if v, err := w.take(w.signed(w.ordered().Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Fatalf("%+v, %v", v, err)
	}
	for _, failed := range []error{errors.New("stopping"), nil} {
		sent := 0
		ctx, end := context.WithCancel(t.Context())
		err := w.responder.Answers(ctx, func(context.Context, acme.Answer) error {
			sent++
			end()
			return failed
		})
		if !errors.Is(err, failed) || sent != 1 {
			t.Errorf("sent %d times, %v", sent, err)
		}
	}
	w.advance(2 * time.Hour)
	if w.answers(); len(w.sent) != 0 {
		t.Error("sent again")
	}
}
