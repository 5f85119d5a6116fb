package smtpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// transfer is a delivery on its way, with what is known of its recipients.
type transfer struct {
	d       relay.Delivery
	text    []byte
	eight   bool  // has octets over 127
	utf8    bool  // needs SMTPUTF8: the header has octets over 127 and may
	open    []int // recipients without a result
	results []error
	relayed []bool // to a hop without DSN
}

func newTransfer(d relay.Delivery) *transfer {
	t := &transfer{d: d, results: make([]error, len(d.Recipients)), relayed: make([]bool, len(d.Recipients))}
	for i := range d.Recipients {
		t.open = append(t.open, i)
		// Nil is a promise: it is given by the hop's own answer alone.
		t.results[i] = lost(errors.New("no reply to the message"))
	}
	if d.Message != nil {
		t.load(d.Message)
	}
	return t
}

func (t *transfer) load(m *message.Message) {
	t.text = m.Bytes()
	t.eight = eightBit(t.text)
	t.utf8 = t.d.Params.SMTPUTF8 && eightBit(headerOf(t.text))
}

// convert makes the message 7-bit and reports whether it is.
func (t *transfer) convert(sevenBit func(*message.Message) (*message.Message, error)) bool {
	if sevenBit == nil {
		return false
	}
	m, err := sevenBit(t.d.Message)
	if err != nil {
		return false
	}
	t.load(m)
	return !t.eight
}

// check refuses what SMTP cannot carry unchanged.
func (t *transfer) check() error {
	switch {
	case t.d.Message == nil:
		return fault.Of(errors.New("delivery without a message"))
	case bareLineEnd(t.text):
		return fault.New(fault.Malformed, "bare CR or LF in the message", nil)
	}
	return nil
}

// fail gives every open recipient the error.
func (t *transfer) fail(err error) {
	for _, i := range t.open {
		t.results[i] = err
	}
	t.open = nil
}

// delivered gives every open recipient the promise of the hop.
func (t *transfer) delivered() { t.fail(nil) }

// send runs a mail transaction for the open recipients. Its error means that
// the connection is of no use any more; t then says who has no result.
func (h *hop) send(ctx context.Context, t *transfer) error {
	defer h.watch(ctx)()
	if err := h.suits(t); err != nil {
		t.fail(err)
		return nil
	}
	r, err := h.command(ctx, h.client.timeouts.command, h.mailFrom(t))
	if err != nil {
		return err
	}
	if r.Code/100 != 2 {
		t.fail(h.said(r))
		return h.after(ctx, r)
	}
	accepted, later, err := h.recipients(ctx, t)
	if err != nil {
		return err
	}
	if len(accepted) == 0 {
		t.open = later
		return h.reset(ctx)
	}
	t.open = accepted
	if err := h.data(ctx, t); err != nil {
		t.open = append(t.open, later...)
		return err
	}
	t.open = later
	return nil
}

// after ends a transaction that the hop refused with r.
func (h *hop) after(ctx context.Context, r fault.Reply) error {
	if r.Code == 421 {
		return errors.New("next hop closed the connection")
	}
	return h.reset(ctx)
}

func (h *hop) reset(ctx context.Context) error {
	r, err := h.command(ctx, h.client.timeouts.command, "RSET")
	if err != nil {
		return err
	}
	if r.Code/100 != 2 {
		return asError(r)
	}
	return nil
}

// recipients names the open recipients. Those refused get their result;
// accepted ones go on to DATA, and later holds those that the hop wants in a
// transaction of their own. When the connection fails, those refused for good
// keep their results and the rest stays open.
func (h *hop) recipients(ctx context.Context, t *transfer) (accepted, later []int, err error) {
	for n, i := range t.open {
		line, err := h.rcptTo(t.d.Recipients[i])
		if err != nil {
			t.results[i] = err
			continue
		}
		r, err := h.command(ctx, h.client.timeouts.command, line)
		if err == nil && r.Code == 421 {
			err = asError(r)
		}
		switch {
		case err != nil:
			t.open = append(append(accepted, later...), t.open[n:]...)
			return nil, nil, err
		case r.Code/100 == 2:
			accepted = append(accepted, i)
		case tooMany(r) && len(accepted) > 0:
			later = append(later, i)
		case r.Code == 552 && r.Enhanced[1] != 2:
			// RFC 5321 section 4.5.3.1.10: too many recipients, and temporary.
			t.results[i] = fault.Narrow(fault.NextHop, fault.ManyRecipients, "next hop accepts no more recipients: "+r.Text, nil)
		default:
			t.results[i] = h.said(r)
		}
	}
	return accepted, later, nil
}

// tooMany reports a reply that means "not in this transaction" (RFC 5321
// section 4.5.3.1.10): 452, or 552 from older servers, unless it is about the
// mailbox.
func tooMany(r fault.Reply) bool {
	return (r.Code == 452 || r.Code == 552) && r.Enhanced[1] != 2
}

// data sends the message. Once the final dot may have been read there is no
// taking it back: the connection counts as committed.
func (h *hop) data(ctx context.Context, t *transfer) error {
	r, err := h.command(ctx, h.client.timeouts.data, "DATA")
	if err != nil {
		return err
	}
	if r.Code != 354 {
		t.fail(h.said(r))
		return h.after(ctx, r)
	}
	h.committed = true
	w := &blockWriter{h: h, ctx: ctx}
	if err := writeDotted(w, t.text); err != nil {
		return err
	}
	if err := h.allow(ctx, h.client.timeouts.end); err != nil {
		return err
	}
	_, r, err = readReply(h.r)
	if err != nil {
		return err
	}
	if r.Code/100 != 2 {
		t.fail(h.said(r))
		if r.Code == 421 {
			return errors.New("next hop closed the connection")
		}
		return nil
	}
	h.client.logDelivered(t, r)
	for _, i := range t.open {
		t.relayed[i] = !h.offers("DSN")
	}
	t.delivered()
	return nil
}

// logDelivered writes by which answer the hop took the message, for each open
// recipient: it is there that the hop's own log continues.
func (c *Client) logDelivered(t *transfer, r fault.Reply) {
	log := t.d.Origin.With(c.config.Log).With("sender", t.d.Sender.String(), "next_hop", c.config.Address)
	for _, i := range t.open {
		log.Info("delivered", "recipient", t.d.Recipients[i].Address.String(), "reply", fmt.Sprintf("%d %s", r.Code, r.Text))
	}
}

// suits refuses, for good, what this hop cannot take.
func (h *hop) suits(t *transfer) error {
	if t.eight && !h.offers("8BITMIME") && !t.convert(h.client.config.SevenBit) {
		return fault.Narrow(fault.Refused, fault.Conversion, "next hop does not support 8BITMIME, and the content must not be converted", nil)
	}
	if (t.utf8 || !t.d.Sender.ASCII()) && !h.offers("SMTPUTF8") {
		return fault.Narrow(fault.Refused, fault.International, "next hop does not support internationalized mail", nil)
	}
	if limit, err := strconv.ParseInt(h.extensions["SIZE"], 10, 64); err == nil && limit > 0 && int64(len(t.text)) > limit {
		return fault.New(fault.TooLarge, fmt.Sprintf("message of %d octets exceeds the limit of the next hop, %d", len(t.text), limit), nil)
	}
	return nil
}

func eightBit(p []byte) bool {
	for _, c := range p {
		if c > 127 {
			return true
		}
	}
	return false
}

func headerOf(text []byte) []byte {
	if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
		return text[:i]
	}
	return text
}
