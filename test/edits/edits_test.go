// Package edits holds the milter adapter to what a real Postfix makes of its
// edits: octet by octet, for headers that are far from usual.
package edits

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/milter"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

// filter is a handler and a queue: it hands on what edit makes of a message.
type filter struct {
	edit func(*relay.Envelope, *message.Message) (*answer.Outcome, error)

	mu     sync.Mutex
	seen   []relay.Envelope
	texts  []string
	queued []relay.Delivery
}

func (f *filter) Recipient(_ context.Context, _ *relay.Envelope, r relay.Recipient) error {
	if strings.HasPrefix(r.Address.Local(), "no") {
		return fault.New(fault.Policy, "100% no certificate", nil)
	}
	return nil
}

func (f *filter) Process(ctx context.Context, env *relay.Envelope, m *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, *env)
	f.texts = append(f.texts, string(m.Bytes()))
	o := pass(env, m)
	if f.edit != nil {
		var err error
		if o, err = f.edit(env, m); err != nil {
			return nil, err
		}
	}
	return answer.Of(ctx, o, env, m, can, f)
}

func (f *filter) Report(context.Context, relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
	return relay.Delivery{}, false, nil
}

func (f *filter) Put(_ context.Context, b relay.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued = append(f.queued, slices.Concat(b.Copies, b.Notices)...)
	return nil
}

func pass(env *relay.Envelope, m *message.Message) *answer.Outcome {
	return &answer.Outcome{Deliveries: []relay.Delivery{{
		Sender: env.Sender, Recipients: env.Recipients, Params: env.Params, Message: m,
	}}}
}

// world is Postfix between a client and a sink, with the milter beside it.
type world struct {
	t      *testing.T
	filter *filter
	sink   *rig.Sink
	smtp   string
	post   *rig.Postfix
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, filter: &filter{}, sink: rig.StartSink(t)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := milter.NewServer(milter.Config{
		Listener: "milter", Hostname: "mx.test", Handler: w.filter, Queue: w.filter, Log: slog.New(slog.DiscardHandler),
	})
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	port := loopback.FreePort(t)
	w.smtp = "127.0.0.1:" + strconv.Itoa(port)
	w.post = rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{port},
		Main: "smtpd_milters = inet:" + ln.Addr().String() + "\nmilter_default_action = tempfail\n" +
			"relayhost = [127.0.0.1]:" + w.sink.Addr()[strings.LastIndexByte(w.sink.Addr(), ':')+1:] + "\n",
		Master: w.smtp + " inet n - n - - smtpd\n",
	})
	return w
}

// arrived waits for the message to a recipient, and takes Postfix's own
// Received field off.
func (w *world) arrived(to string) string {
	w.t.Helper()
	d := w.sink.Wait(w.t, "message to "+to, func(d rig.Delivery) bool { return slices.Contains(d.To, to) })
	text := string(d.Data)
	if !strings.HasPrefix(text, "Received: from ") {
		w.t.Fatalf("message begins with %.60q", text)
	}
	for end := 0; ; end++ {
		i := strings.Index(text[end:], "\r\n")
		if end += i + 2; i < 0 || text[end] != ' ' && text[end] != '\t' {
			return text[end:]
		}
	}
}

const head = "Date: Fri, 2 Jan 2026 03:04:05 +0000\r\nMessage-ID: <x@test>\r\nFrom: a@sender.test\r\n"

// What the handler is shown is what Postfix sends.
func TestSeenIsSent(t *testing.T) {
	w := start(t)
	c := rig.Dial(t, w.smtp, rig.Insider)
	bodies := []string{
		"Subject: x\r\n\r\nplain\r\n",
		"Subject:no space\r\nX-Two:  two\r\nX-Tab:\ttab\r\nX-Empty:\r\nX-Blank: \r\nX-Trailing: x \t \r\n\r\n\r\n\r\nbody\r\n\r\n",
		"Subject: folded\r\n once\r\n\ttwice \r\n  thrice\r\nx-CASE: y\r\nX-Case: z\r\n\r\n.\r\n..\r\n. \r\nFrom x\r\n trailing \t\r\n",
		"Subject : space before the colon\r\nX:y\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20_000),
		"Subject: no body at all\r\n\r\n",
	}
	for i, text := range bodies {
		to := fmt.Sprintf("seen%d@rcpt.test", i)
		if tr := c.Send("a@sender.test", []string{to}, []byte(head+text)); tr.Data.Code != 250 {
			t.Fatalf("%d: %v", i, tr)
		}
		got := w.arrived(to)
		if seen := w.filter.texts[len(w.filter.texts)-1]; strings.Replace(got, "Subject :", "Subject:", 1) != seen {
			t.Errorf("%d: the handler saw\n%.400q\nand Postfix sent\n%.400q", i, seen, got)
		}
	}
	env := w.filter.seen[0]
	if env.QueueID == "" || env.Client.Addr.String() != rig.Insider || env.Client.Helo != "client.test" || env.Client.TLS {
		t.Errorf("envelope %+v", env)
	}
}

// Whatever a header becomes, Postfix sends exactly that.
func TestEditedIsSent(t *testing.T) {
	w := start(t)
	random := rand.New(rand.NewPCG(1, 2))
	var now *message.Message
	w.filter.edit = func(env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) { return pass(env, now), nil }
	c := rig.Dial(t, w.smtp, rig.Insider)
	for i := range 60 {
		old := fields(random, random.IntN(12))
		var err error
		if now, err = message.Parse([]byte(mutate(random, old) + "\r\n" + body(random))); err != nil {
			t.Fatal(err)
		}
		to := fmt.Sprintf("edited%d@rcpt.test", i)
		sent := head + strings.Join(old, "") + "\r\nold body\r\n"
		if tr := c.Send("a@sender.test", []string{to}, []byte(sent)); tr.Data.Code != 250 {
			t.Fatalf("%d: %v", i, tr)
		}
		if got := w.arrived(to); got != string(now.Bytes()) {
			t.Fatalf("%d: from\n%q\nPostfix made\n%.600q, not\n%.600q", i, sent, got, now.Bytes())
		}
	}
}

// fields returns random fields of few names.
func fields(r *rand.Rand, n int) []string {
	var all []string
	for range n {
		name := []string{"X-A", "x-a", "X-B", "Subject", "Content-Type", "Received", "To"}[r.IntN(7)]
		value := []string{"", " ", " 1", "2", "  3", "\t4", " folded\r\n\tvalue", " a\r\n b\r\n c", " " + strconv.Itoa(r.IntN(100))}[r.IntN(9)]
		all = append(all, name+":"+value+"\r\n")
	}
	return all
}

// mutate takes some fields out, puts others in and swaps a few.
func mutate(r *rand.Rand, old []string) string {
	now := slices.Clone(old)
	if r.IntN(3) > 0 {
		now = append([]string{head}, now...)
	}
	for range r.IntN(4) {
		if len(now) > 0 {
			i := r.IntN(len(now))
			now = slices.Delete(now, i, i+1)
		}
	}
	for _, f := range fields(r, r.IntN(5)) {
		now = slices.Insert(now, r.IntN(len(now)+1), f)
	}
	if r.IntN(3) == 0 {
		r.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
	}
	if len(now) == 0 {
		now = []string{"X: the only one\r\n"}
	}
	return strings.Join(now, "")
}

func body(r *rand.Rand) string {
	return []string{
		"", "\r\n", "new\r\n", ".\r\n\r\n..\r\n", "trailing \t\r\n\r\n\r\n",
		strings.Repeat("0123456789\r\n", 10_000), strings.Repeat("x", 990) + "\r\n", "old body\r\n",
	}[r.IntN(8)]
}

// Recipients drop out by the spelling that Postfix gave, and one refused leaves
// the rest of the transaction alone.
func TestRecipients(t *testing.T) {
	w := start(t)
	w.filter.edit = func(env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		o := &answer.Outcome{}
		d := relay.Delivery{Sender: env.Sender, Params: env.Params, Message: m}
		for _, r := range env.Recipients {
			if strings.HasPrefix(strings.ToLower(r.Address.Local()), "drop") {
				o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: fault.New(fault.Policy, "no", nil)})
			} else {
				d.Recipients = append(d.Recipients, r)
			}
		}
		if len(d.Recipients) > 0 {
			o.Deliveries = []relay.Delivery{d}
		}
		return o, nil
	}
	c := rig.Dial(t, w.smtp, rig.Insider)
	to := []string{
		"stay@rcpt.test", "Drop@Rcpt.Test", "no@rcpt.test", `"drop me"@rcpt.test`, `"drop\"q"@rcpt.test`, "drop+x@rcpt.test",
		`"stay too"@rcpt.test`, "drop@RCPT.test", "drop@rcpt.test", "stay+drop@rcpt.test", "drop*@rcpt.test",
	}
	tr := c.Send("a@sender.test", to, []byte(head+"Subject: x\r\n\r\nx\r\n"))
	if tr.Data.Code != 250 {
		t.Fatal(tr)
	}
	if r := tr.Rcpt["no@rcpt.test"]; r.Code != 550 || !strings.Contains(r.Text, "5.7.1 100% no certificate") {
		t.Errorf("refused with %v", r)
	}
	w.arrived("stay@rcpt.test")
	w.post.WaitLog(t, `qmgr\[\d+\]: \w+: removed`)
	var got []string
	for _, d := range w.sink.All() {
		got = append(got, d.To...)
	}
	slices.Sort(got)
	if want := []string{`"stay too"@rcpt.test`, "stay+drop@rcpt.test", "stay@rcpt.test"}; !slices.Equal(got, want) {
		t.Errorf("delivered to %q, want %q", got, want)
	}
	if tr := c.Send("a@sender.test", []string{"drop@rcpt.test", "drop2@rcpt.test"}, []byte(head+"\r\nx\r\n")); tr.Data.Code != 550 {
		t.Errorf("everybody dropped: %v", tr.Data)
	}
}

// A message in several forms goes to the queue, and Postfix forgets it.
func TestSeveralForms(t *testing.T) {
	w := start(t)
	w.filter.edit = func(env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		o := &answer.Outcome{}
		for _, r := range env.Recipients {
			o.Deliveries = append(o.Deliveries, relay.Delivery{Sender: env.Sender, Recipients: []relay.Recipient{r}, Message: m})
		}
		return o, nil
	}
	c := rig.Dial(t, w.smtp, rig.Insider)
	for _, step := range []struct {
		line string
		code int
	}{
		{"MAIL FROM:<a@sender.test> RET=HDRS ENVID=e+2B1", 250},
		{"RCPT TO:<b@rcpt.test> NOTIFY=NEVER ORCPT=rfc822;o@rcpt.test", 250},
		{"RCPT TO:<c@rcpt.test>", 250},
		{"DATA", 354},
		{head + "Subject: x\r\n\r\nx\r\n.", 250},
	} {
		id, err := c.Text.Cmd("%s", step.line)
		if err != nil {
			t.Fatal(err)
		}
		c.Text.StartResponse(id)
		if _, _, err := c.Text.ReadResponse(step.code); err != nil {
			t.Fatal(step.line, err)
		}
		c.Text.EndResponse(id)
	}
	env := w.filter.seen[0]
	if p, r := env.Params, env.Recipients[0]; p.EnvID != "e+1" || p.Return != "HDRS" || !slices.Equal(r.Notify, []string{"NEVER"}) || r.Original != "o@rcpt.test" {
		t.Errorf("envelope %+v", env)
	}
	w.post.WaitLog(t, `milter-discard: END-OF-MESSAGE`)
	if len(w.filter.queued) != 2 || !bytes.HasSuffix(w.filter.queued[0].Message.Bytes(), []byte("Subject: x\r\n\r\nx\r\n")) {
		t.Errorf("queued %v", w.filter.queued)
	}
	if all := w.sink.All(); len(all) > 0 {
		t.Errorf("delivered as well: %v", all)
	}
}
