package gateway

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

const unknown = "unknown@ask.example"

// newAskingWorld is a world whose rule for ask.example asks, as ask@own.example.
func newAskingWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.config.Policy = testpki.Must(enforce.Compile(append([]enforce.Rule{
		{Name: "ask", Recipient: []string{"ask.example"}, Sign: "never", Encrypt: "require", NoCertificate: "ask"},
	}, worldRules()...)))
	w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@own.example"), w.issue("ask@own.example"))
	w.config.Ask = Ask{From: w.addr("ask@own.example"), Again: time.Hour, Language: func(address.Address) string { return "de" }}
	w.start()
	return w
}

// The recipient is asked by a signed message that says who wrote and nothing of what; the
// sender is notified of it, and the question is stored with the hold.
func TestQuestion(t *testing.T) {
	w := newAskingWorld(t)
	env := w.envelope("out", "alice@own.example", bob, unknown, late)
	msg := parseMessage(t, strings.Replace(string(w.letter(bob, unknown).Bytes()), "\r\n", "\n", -1))
	a, err := w.gateway.Process(t.Context(), env, msg, relay.Capabilities{EachRecipient: true})
	if err != nil {
		t.Fatal(err)
	}
	if a.Store.Held == nil || len(a.Store.Questions) != 1 {
		t.Fatalf("stored %+v", a.Store)
	}
	q := a.Store.Questions[0]
	if !q.Sender.IsNull() || len(q.Recipients) != 1 || q.Recipients[0].Address.String() != unknown || q.Again != time.Hour || q.Origin.ID != env.ID ||
		q.Direction != "" { // else the history took it for the message
		t.Errorf("question %+v", q)
	}
	opened := smime.Open(t.Context(), q.Message, smime.OpenOptions{Checker: w.config.Checker, At: time.Now()})
	raw := string(q.Message.Bytes())
	if opened.Report.Result != certs.Pass || opened.Report.Author.String() != "ask@own.example" {
		t.Errorf("the question reads as %+v", opened.Report)
	}
	for _, want := range []string{"Message-ID: " + q.Asks.MessageID, "Reply-To: alice@own.example", "Auto-Submitted: auto-generated", "Subject: Bitte um Ihr S/MIME-Zertifikat", "To: " + unknown} {
		if !strings.Contains(raw, want) {
			t.Errorf("the question lacks %q:\n%s", want, raw)
		}
	}
	for _, secret := range []string{"confidential-subject", text, bob, late, "1@own.example"} {
		if strings.Contains(raw, secret) {
			t.Errorf("the question has %q:\n%s", secret, raw)
		}
	}
	notices := slices.Concat(a.Store.Notices, a.Notices)
	if len(notices) != 1 || bytes.Count(notices[0].Message.Bytes(), []byte("has asked this recipient")) != 1 {
		t.Errorf("%d notices: %s", len(notices), notices[0].Message.Bytes())
	}
	if !strings.Contains(w.log.String(), "; asked for a certificate") {
		t.Errorf("the log does not say so:\n%s", w.log)
	}
}

// Who is no person of the house asks no one, and no one is asked who is no person; the
// message waits all the same.
func TestNotAsked(t *testing.T) {
	for name, c := range map[string]struct {
		listener, sender, to, header string
		edit                         func(*world)
		why                          string
	}{
		"forwarded":          {sender: "eve@far.example", why: "the sender is not local"},
		"author elsewhere":   {header: "From: eve@far.example\n", why: "not of a local domain"},
		"not entitled":       {listener: "in", why: "may not send as"},
		"automatic reply":    {header: "Auto-Submitted: auto-replied (vacation)\n", why: "automatic"},
		"list":               {header: "List-Id: <l.own.example>\n", why: "mailing list"},
		"bulk":               {header: "Precedence: Bulk\n", why: "mailing list"},
		"robot":              {to: "No-Reply@ask.example", why: "a list or a program"},
		"address of a list":  {to: "news-request@ask.example", why: "a list or a program"},
		"not harvested":      {edit: func(w *world) { w.config.Ask.Learns = func(address.Address) bool { return false } }, why: "not harvested"},
		"no identity":        {edit: func(w *world) { w.config.Ask.From = w.addr("other@own.example") }, why: "cannot be made"},
		"no such language":   {edit: func(w *world) { w.config.Ask.Language = func(address.Address) string { return "xx" } }, why: "cannot be made"},
		"a person, by a MUA": {header: "Auto-Submitted: no\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAskingWorld(t)
			if c.edit != nil {
				c.edit(w)
				w.start()
			}
			listener, sender, to := "out", "alice@own.example", unknown
			if c.listener != "" {
				listener = c.listener
			}
			if c.sender != "" {
				sender = c.sender
			}
			if c.to != "" {
				to = c.to
			}
			header := c.header
			if !strings.HasPrefix(header, "From:") {
				header += "From: alice@own.example\n"
			}
			o, err := w.process(w.envelope(listener, sender, to), parseMessage(t, header+"To: "+to+"\n\n"+text+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			asked := len(o.Questions) > 0
			if o.Held == nil || asked != (c.why == "") || c.why != "" && !strings.Contains(w.log.String(), "not asked for a certificate: ") || !strings.Contains(w.log.String(), c.why) {
				t.Errorf("held %v, %d questions\n%s", o.Held != nil, len(o.Questions), w.log)
			}
			if !asked && bytes.Contains(o.Notices[0].Message.Bytes(), []byte("has asked this recipient")) {
				t.Error("the sender is notified of a question that is not sent")
			}
		})
	}
	t.Run("null sender", func(t *testing.T) {
		w := newAskingWorld(t)
		o, err := w.process(w.envelope("out", "", unknown), w.letter(unknown))
		if err != nil || o.Held != nil || len(o.Questions) > 0 || len(o.Refused) != 1 {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("held before", func(t *testing.T) {
		w := newAskingWorld(t)
		o, err := w.process(w.envelope("out", "alice@own.example", unknown), w.letter(unknown))
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.gateway.Reconsider(t.Context(), *o.Held, relay.Order{})
		if err != nil || b.Held == nil || len(b.Questions) > 0 {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// An explanation says who would be asked.
func TestQuestionExplained(t *testing.T) {
	w := newAskingWorld(t)
	for to, want := range map[string]string{unknown: "; asked for a certificate", "noreply@ask.example": "; not asked for a certificate: "} {
		x, err := w.gateway.Explain(t.Context(), w.envelope("out", "alice@own.example", to), nil)
		if err != nil || x.Recipients[0].Outcome != "held" || !strings.Contains(x.Recipients[0].Reason, want) {
			t.Errorf("%s: %+v, %v", to, x, err)
		}
	}
}

const questionID = "<ABCDEFGHIJKLMNOPQRSTUVWXYZ@gw.own.example>"

// What is passed on of an answer, and when nothing is.
func TestAnswered(t *testing.T) {
	const part = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhere\n--b\nContent-Type: %\n\ncert\n--b--\n"
	for name, c := range map[string]struct {
		header, kind string
		files        int
	}{
		"by name":            {"In-Reply-To: " + questionID + "\n", "application/octet-stream; name=my.CER", 1},
		"by type":            {"In-Reply-To: " + questionID + "\n", "application/pkix-cert", 1},
		"by References":      {"References: <a@b> " + questionID + "\n", "application/octet-stream; name=x.p7b", 1},
		"a key":              {"In-Reply-To: " + questionID + "\n", "application/octet-stream; name=x.p12", 0},
		"no answer":          {"", "application/pkix-cert", 0},
		"to another gateway": {"In-Reply-To: <ABCDEFGHIJKLMNOPQRSTUVWXYZ@gw.far.example>\n", "application/pkix-cert", 0},
		"two authors":        {"In-Reply-To: " + questionID + "\nFrom: eve@far.example\n", "application/pkix-cert", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var got []Answer
			w.config.Answered = func(a Answer) { got = append(got, a) }
			w.start()
			m := parseMessage(t, "From: "+unknown+"\nTo: alice@own.example\n"+c.header+strings.Replace(part, "%", c.kind, 1))
			if _, err := w.process(w.envelope("in", unknown, "alice@own.example"), m); err != nil {
				t.Fatal(err)
			}
			switch {
			case c.files == 0 && len(got) > 0:
				t.Errorf("passed on %+v", got)
			case c.files > 0 && (len(got) != 1 || len(got[0].Files) != c.files || got[0].Author.String() != unknown || !slices.Equal(got[0].To, []string{questionID}) ||
				string(bytes.TrimSpace(got[0].Files[0])) != "cert"):
				t.Errorf("passed on %+v", got)
			}
		})
	}
}

// FuzzAnswered: what any message brings is bounded, and nothing panics.
func FuzzAnswered(f *testing.F) {
	f.Add([]byte("From: a@b.example\r\nIn-Reply-To: " + questionID + "\r\nContent-Type: application/pkix-cert\r\n\r\nx\r\n"))
	g := &Gateway{Config: Config{Hostname: "gw.own.example"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := message.Parse(raw)
		if err != nil {
			return
		}
		if n := len(g.answers(m)); n > maxAnswered {
			t.Errorf("%d Message-IDs", n)
		}
		files := certificateFiles(m)
		if len(files) > maxAnswers {
			t.Errorf("%d files", len(files))
		}
		for _, file := range files {
			if len(file) > maxAnswerSize {
				t.Errorf("a file of %d octets", len(file))
			}
		}
	})
}

// A question that could not be made when the message came is made when it is looked at again,
// once; until then the message says that it is wanted.
func TestQuestionIsMadeUpFor(t *testing.T) {
	w := newAskingWorld(t)
	keys := w.config.Keys
	w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@own.example"))
	w.start()
	o, err := w.process(w.envelope("out", "alice@own.example", "x@hold.example", unknown), w.letter("x@hold.example", unknown))
	if err != nil || o.Held == nil || len(o.Questions) != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	again := func(h *relay.Hold) relay.Batch {
		t.Helper()
		b, err := w.gateway.Reconsider(t.Context(), *h, relay.Order{})
		if err != nil || b.Held == nil {
			t.Fatalf("%+v, %v", b, err)
		}
		return b
	}
	b := again(o.Held)
	if len(b.Questions) != 0 {
		t.Fatalf("asked without an identity: %+v", b.Questions)
	}
	w.config.Keys = keys
	w.start()
	b = again(b.Held)
	if len(b.Questions) != 1 || b.Questions[0].Recipients[0].Address.String() != unknown || b.Questions[0].Origin.ID != "id1" {
		t.Fatalf("asked %+v", b.Questions)
	}
	if b = again(b.Held); len(b.Questions) != 0 {
		t.Errorf("asked twice: %+v", b.Questions)
	}
}

// Who could not be asked when the message came is not forgotten because a later look meets what
// is unknown then.
func TestQuestionIsMadeUpForAfterFailures(t *testing.T) {
	for name, c := range map[string]struct{ fail, mend func(*world, *relay.Hold) }{
		"a lookup": {
			func(w *world, _ *relay.Hold) { w.dir.results[unknown] = w.dir.results[erin] },
			func(w *world, _ *relay.Hold) { delete(w.dir.results, unknown) },
		},
		"who may sign": {
			func(_ *world, h *relay.Hold) { h.Envelope.Listener = "gone" },
			func(_ *world, h *relay.Hold) { h.Envelope.Listener = "out" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAskingWorld(t)
			keys := w.config.Keys
			w.config.Keys = certs.NewKeys(time.Now, w.issue("alice@own.example"))
			w.start()
			env := w.envelope("out", "alice@own.example", unknown)
			env.Recipients[0].Notify, env.Params.EnvID = []string{"FAILURE"}, "e1"
			o, err := w.process(env, w.letter(unknown))
			if err != nil || o.Held == nil || len(o.Questions) != 0 {
				t.Fatalf("%+v, %v", o, err)
			}
			h := o.Held
			again := func() relay.Batch {
				t.Helper()
				b, err := w.gateway.Reconsider(t.Context(), *h, relay.Order{})
				if err != nil || b.Held == nil {
					t.Fatalf("%+v, %v", b, err)
				}
				h = b.Held
				return b
			}
			w.config.Keys = keys
			w.start()
			c.fail(w, h)
			if b := again(); len(b.Questions) != 0 {
				t.Fatalf("asked %+v", b.Questions)
			}
			c.mend(w, h)
			b := again()
			if len(b.Questions) != 1 {
				t.Fatalf("asked %+v", b.Questions)
			}
			if a := b.Questions[0].Asks; !slices.Equal(a.Held.Notify, []string{"FAILURE"}) || a.EnvID != "e1" {
				t.Errorf("the sender's NOTIFY and ENVID are lost: %+v", a)
			}
		})
	}
}

// The sender reads that the question did not arrive, in the language, and of which message.
func TestQuestionThatFailed(t *testing.T) {
	for language, want := range map[string]string{"en": "the request for a certificate could not be delivered: no such mailbox", "de": "Die Bitte um ein Zertifikat konnte nicht zugestellt werden: no such mailbox"} {
		w := newAskingWorld(t)
		w.config.Texts = testpki.Must(dsn.ReadTexts(language, nil))
		w.start()
		report := func(notify ...string) (relay.Delivery, bool, error) {
			return w.gateway.Report(t.Context(), relay.Delivery{
				Sender: w.addr("alice@own.example"), Origin: relay.Origin{MessageID: "<1@own.example>"}, Asks: &relay.Asks{},
			}, relay.Event{Kind: relay.Delayed, Until: time.Now(), About: []relay.RecipientStatus{{
				Recipient: relay.Recipient{Address: w.addr(unknown), Notify: notify},
				Err:       fault.New(fault.Held, "the request for a certificate could not be delivered: no such mailbox", nil),
			}}})
		}
		for _, word := range []string{"NEVER", "FAILURE"} {
			if _, ok, err := report(word); ok || err != nil {
				t.Errorf("NOTIFY=%s: %v, %v", word, ok, err)
			}
		}
		d, ok, err := report()
		if text := decodedText(t, d.Message); err != nil || !ok || !strings.Contains(text, want) || !strings.Contains(text, "<1@own.example>") {
			t.Errorf("%v, %v:\n%s", ok, err, text)
		}
	}
}
