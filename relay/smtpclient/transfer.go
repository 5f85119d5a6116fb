package smtpclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Transfer is a delivery on its way, with what is known of its recipients. It is for one
// goroutine.
type Transfer struct {
	d         relay.Delivery
	head      []byte        // of the message, with the empty line
	body      []byte        // nil where it is in stored
	stored    *relay.Stored // nil where the message is in head and body
	scanned   bool
	bare      bool  // has a bare CR or LF
	ended     bool  // ends with a line end
	eight     bool  // has octets over 127
	utf8      bool  // needs SMTPUTF8: the header has octets over 127 and may
	open      []int // recipients without a result
	results   []error
	relayed   []bool     // to a hop without DSN
	noted     bool       // a server was tried, and did not get the message
	allowance *allowance // nil until a server is tried
}

// NewTransfer returns a transfer of d in which all recipients are open.
func NewTransfer(d relay.Delivery) *Transfer {
	t := &Transfer{d: d, results: make([]error, len(d.Recipients)), relayed: make([]bool, len(d.Recipients))}
	for i := range d.Recipients {
		t.open = append(t.open, i)
		// Nil is a promise: it is given by the hop's own answer alone.
		t.results[i] = lost(errors.New("no reply to the message"))
	}
	switch {
	case d.Message != nil:
		t.head, t.body = d.Message.Header(), d.Message.Body()
	case d.Stored != nil:
		t.head, t.stored = d.Stored.Header, d.Stored
	}
	return t
}

// pieces calls each with the message, in pieces.
func (t *Transfer) pieces(ctx context.Context, each func([]byte) error) error {
	if t.stored != nil {
		return t.stored.Pieces(ctx, each)
	}
	if err := each(t.head); err != nil {
		return err
	}
	return each(t.body)
}

// scan finds out what decides whether the message can be sent, once.
func (t *Transfer) scan(ctx context.Context) error {
	if t.scanned {
		return nil
	}
	var s scan
	if err := t.pieces(ctx, func(p []byte) error { s.add(p); return nil }); err != nil {
		return err
	}
	s.whole()
	t.scanned, t.eight, t.bare, t.ended = true, s.eight, s.bare, s.ended
	t.utf8 = t.d.Params.SMTPUTF8 && eightBit(t.head)
	return nil
}

// size is the size of the message in octets.
func (t *Transfer) size() int {
	if t.stored != nil {
		return t.stored.Size
	}
	return len(t.head) + len(t.body)
}

// convert makes the message 7-bit and reports whether it is. Its error means that the
// message cannot be read.
func (t *Transfer) convert(ctx context.Context, sevenBit func(*message.Message) (*message.Message, error)) (bool, error) {
	if sevenBit == nil {
		return false, nil
	}
	m := t.d.Message
	if m == nil {
		var err error
		if m, err = t.stored.Load(ctx); err != nil {
			return false, err
		}
	}
	m, err := sevenBit(m)
	if err != nil {
		return false, nil //nolint:nilerr // it may not be converted
	}
	t.head, t.body, t.stored, t.scanned = m.Header(), m.Body(), nil, false
	err = t.scan(ctx)
	return !t.eight, err
}

// check refuses what SMTP cannot carry unchanged.
func (t *Transfer) check(ctx context.Context) error {
	if t.d.Message == nil && t.stored == nil {
		return fault.Of(errors.New("delivery without a message"))
	}
	if err := t.scan(ctx); err != nil {
		return fault.Of(err)
	}
	if t.bare {
		return fault.New(fault.Malformed, "bare CR or LF in the message", nil)
	}
	return nil
}

// Open reports whether there are recipients that no server has answered for.
func (t *Transfer) Open() bool { return len(t.open) > 0 }

// Results returns one error a recipient, in the order of the delivery; nil where a server
// took responsibility, and a temporary error where none was reached. A fault.NextHop may
// succeed later, a fault.Refused or another permanent kind never will. relayed says of
// whom the server that took the message does not know DSN (RFC 3461).
func (t *Transfer) Results() (results []error, relayed []bool) { return t.results, t.relayed }

// Note keeps an error as the result of the recipients that are open, unless another server
// gives them one. What may pass counts more than what will not: it is worth to try again.
func (t *Transfer) Note(err error) {
	for _, i := range t.open {
		if relay.Temporary(err) || !t.noted {
			t.results[i] = err
		}
	}
	t.noted = true
}

// fail gives every open recipient the error.
func (t *Transfer) fail(err error) { t.settle(t.open, err) }

// settle gives recipients their result; they are open no more.
func (t *Transfer) settle(recipients []int, err error) {
	for _, i := range recipients {
		t.results[i] = err
	}
	rest := slices.DeleteFunc(slices.Clone(t.open), func(i int) bool { return slices.Contains(recipients, i) })
	t.open = rest
}

// send runs a mail transaction for the open recipients. Those that the hop wants in
// another transaction stay open. Its error means that the connection is of no use any
// more; then those stay open whose result is not known.
func (h *hop) send(ctx context.Context, t *Transfer) error {
	defer h.watch(ctx)()
	if t.requiresTLS() && (!h.trusted() || !h.offers("REQUIRETLS")) {
		// RFC 8689 section 4.2.1: another host may do.
		t.Note(fault.Narrow(fault.Refused, fault.RequireTLS, "REQUIRETLS support required: next hop lacks it, or TLS with a verified certificate", nil))
		return errElsewhere
	}
	if err := h.suits(ctx, t); err != nil {
		t.fail(err)
		return nil
	}
	h.chunking, h.begun = h.mayChunk() && len(t.head) > 0, false
	e, err := h.envelope(ctx, t)
	if err != nil {
		return err
	}
	if e.data.Code == 354 && len(e.accepted) > 0 {
		return h.content(ctx, t, e.accepted)
	}
	if e.data.Code == 354 {
		if h.client.config.LMTP {
			return errClosed // there is no answer without a recipient, and no data
		}
		if err := h.noContent(ctx); err != nil {
			return err
		}
	}
	last := e.data
	if e.mail.Code/100 != 2 {
		last = e.mail
		if last.Code/100 == 4 {
			// No recipient was refused: another server may do.
			t.Note(h.said(last))
			return cmp.Or(h.after(ctx, last), errElsewhere)
		}
		t.fail(h.said(last))
	}
	t.settle(e.accepted, h.said(last))
	return h.after(ctx, last)
}

// after ends a transaction to which the hop's last answer was r.
func (h *hop) after(ctx context.Context, r fault.Reply) error {
	if r.Code == 421 {
		return errClosed
	}
	r, err := h.command(ctx, h.client.timeouts.command, "RSET")
	if err != nil {
		return err
	}
	if r.Code/100 != 2 {
		return asError(r)
	}
	return nil
}

// suits refuses, for good, what this hop cannot take.
func (h *hop) suits(ctx context.Context, t *Transfer) error {
	if t.eight && !h.offers("8BITMIME") {
		switch converted, err := t.convert(ctx, h.client.config.SevenBit); {
		case err != nil:
			return fault.Of(err)
		case !converted:
			return fault.Narrow(fault.Refused, fault.Conversion, "next hop does not support 8BITMIME, and the content must not be converted", nil)
		}
	}
	if (t.utf8 || !t.d.Sender.ASCII()) && !h.offers("SMTPUTF8") {
		return fault.Narrow(fault.Refused, fault.International, "next hop does not support internationalized mail", nil)
	}
	if limit, err := strconv.ParseInt(h.extensions["SIZE"], 10, 64); err == nil && limit > 0 && int64(t.size()) > limit {
		return fault.New(fault.TooLarge, fmt.Sprintf("message of %d octets exceeds the limit of the next hop, %d", t.size(), limit), nil)
	}
	return nil
}

// requiresTLS reports whether the message may leave only under REQUIRETLS. A report is
// not lost for it, and has no content (RFC 8689 section 5); what has the null sender so
// that nothing is reported of it is no report.
func (t *Transfer) requiresTLS() bool {
	return t.d.Params.RequireTLS && (!t.d.Sender.IsNull() || t.d.Secret != nil)
}

func eightBit(p []byte) bool {
	for _, c := range p {
		if c > 127 {
			return true
		}
	}
	return false
}
