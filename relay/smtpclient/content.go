package smtpclient

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// content sends the message. Once the hop may have its end there is no taking it back: the
// connection counts as committed.
func (h *hop) content(ctx context.Context, t *Transfer, accepted []int) error {
	if err := h.inStep(); err != nil {
		return err
	}
	h.committed = true
	if err := relay.CheckClaim(ctx); err != nil {
		t.fail(fault.New(fault.NextHop, "the delivery was not made; it is tried again", err))
		return err
	}
	if err := h.writeContent(ctx, t); err != nil {
		h.early(ctx, t, accepted)
		return err
	}
	return h.conclude(ctx, t, h.answered(accepted))
}

// writeContent sends a message as the hop takes it. Where it fails the hop has not got its
// end, and does not take it; or it may have the end, and breaks off.
func (h *hop) writeContent(ctx context.Context, t *Transfer) error {
	w := &blockWriter{h: h, ctx: ctx, due: block} // content has listened
	pieces := func(each func([]byte) error) error { return t.pieces(ctx, each) }
	if h.chunking {
		end, err := writeChunk(w, t.size(), t.ended, h.begun, pieces)
		if err != nil {
			return err
		}
		return h.end(w, end)
	}
	d := &dotWriter{w: w}
	if err := pieces(func(p []byte) error { _, err := d.Write(p); return err }); err != nil {
		return err
	}
	return h.end(w, d.end())
}

// end writes the end of a message. From then on the hop may have it, and has time for its answers.
func (h *hop) end(w *blockWriter, p string) error {
	h.allowance = h.allowance.again()
	return w.end(p)
}

// early gives recipients the result that a hop means that refuses a message before it has
// all of it: servers do so with one that is too large or has a line that they do not take, or
// close the session with 421, which may come at any time (RFC 5321 section 3.8). Such a reply
// is one and negative, beside a 421 that says that the hop closes. Where it is permanent and
// could be about one recipient of several, as with LMTP, and in all other cases the message is
// to be tried again.
func (h *hop) early(ctx context.Context, t *Transfer, accepted []int) {
	if h.allow(ctx, h.client.timeouts.command) != nil {
		return
	}
	said, err := h.unasked()
	if len(said) > 1 {
		said = exceptClosing(said)
	}
	if err != nil || len(said) != 1 || len(h.answered(accepted)) > 1 && said[0].Code/100 != 4 {
		return
	}
	if class := said[0].Code / 100; class == 4 || class == 5 {
		t.settle(accepted, h.said(said[0]))
	}
}

// answered are the recipients that each answer to the message is about: all of them, or
// with LMTP one by one (RFC 2033 section 4.2).
func (h *hop) answered(accepted []int) [][]int {
	if !h.client.config.LMTP {
		return [][]int{accepted}
	}
	return slices.Collect(slices.Chunk(accepted, 1))
}

// conclude reads the answers to the message, and gives the recipients the results that they
// mean. Those without an answer stay open, and the error says why; so do all of them where
// more came than answers.
func (h *hop) conclude(ctx context.Context, t *Transfer, about [][]int) error {
	answers, broken := h.answers(ctx, len(about))
	if broken == nil {
		if err := h.sure(answers); err != nil {
			return err
		}
	}
	closing := slices.IndexFunc(answers, func(r fault.Reply) bool { return r.Code == 421 })
	if closing >= 0 && closing < len(answers)-1 && (broken != nil || !h.goesOn(ctx)) {
		answers = answers[:closing+1]
	}
	for i, r := range answers {
		h.judge(ctx, t, about[i], r)
	}
	switch {
	case broken != nil:
		return broken
	case closing >= 0:
		return errClosed
	case h.chunking && answers[0].Code/100 != 2:
		return h.after(ctx, answers[0]) // RFC 3030 section 2: a chunk that failed leaves a transaction to end
	}
	return nil
}

// answers reads n answers to the message, or those before an error. With LMTP 421 may mean
// one recipient, and the answers for the others follow; a hop that closes does so at once.
func (h *hop) answers(ctx context.Context, n int) (answers []fault.Reply, err error) {
	wait := h.client.timeouts.end
	for range n {
		r, err := h.reply(ctx, wait)
		if err == nil && r.Code/100 == 3 {
			err = fmt.Errorf("%w: %q to the message", errOutOfStep, r.String())
		}
		if err != nil {
			return answers, err
		}
		if answers = append(answers, r); r.Code == 421 {
			wait = h.client.timeouts.command
		}
	}
	return answers, nil
}

// goesOn reports whether a hop that has said 421 among its answers did not close, and has
// meant one recipient: had it been a reply to nothing, the one to RSET would be the answer
// for the last recipient.
func (h *hop) goesOn(ctx context.Context) bool {
	r, err := h.command(ctx, h.client.timeouts.command, "RSET")
	return err == nil && r.Code/100 == 2
}

// sure returns an error where the answers to the message may be others than those that were
// taken for them: where more came, one reply was to nothing, and it is not known which. The
// message counts as not taken then, so that it is rather delivered twice than lost. There is
// no doubt where all replies say the same, and none by a 421, which says that the hop closes.
func (h *hop) sure(answers []fault.Reply) error {
	more, err := h.unasked()
	if err != nil {
		return fmt.Errorf("%w: after its answer to the message: %w", errOutOfStep, err)
	}
	more = exceptClosing(more)
	for _, r := range slices.Concat(answers, more) {
		if len(more) > 0 && r.Code/100 != more[0].Code/100 {
			return fmt.Errorf("%w: %q and %q to the message", errOutOfStep, answers[0].String(), more[0].String())
		}
	}
	return nil
}

// exceptClosing leaves out those replies by which a hop says that it closes.
func exceptClosing(replies []fault.Reply) []fault.Reply {
	return slices.DeleteFunc(replies, func(r fault.Reply) bool { return r.Code == 421 })
}

// judge gives recipients the result that an answer to the message means.
func (h *hop) judge(ctx context.Context, t *Transfer, recipients []int, r fault.Reply) {
	if r.Code/100 != 2 {
		t.settle(recipients, h.said(r))
		return
	}
	h.logDelivered(ctx, t, recipients, r)
	for _, i := range recipients {
		t.relayed[i] = !h.offers("DSN")
		relay.TellReply(ctx, t.d.Recipients[i].Address, h.host.shown(), r.String())
	}
	t.settle(recipients, nil)
}

// noContent ends the data of a message that has no recipient (RFC 2920 section 3.1).
// What the hop says of it is of no interest: it took nothing that was for anybody.
func (h *hop) noContent(ctx context.Context) error {
	r, err := h.command(ctx, h.client.timeouts.end, ".")
	if err == nil && r.Code/100 == 3 {
		err = fmt.Errorf("%w: %q to the final dot", errOutOfStep, r.String())
	}
	return err
}

// logDelivered writes by which answer the hop took the message, for each recipient:
// it is there that the hop's own log continues.
func (h *hop) logDelivered(ctx context.Context, t *Transfer, accepted []int, r fault.Reply) {
	if !h.client.config.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := append(t.d.Origin.Attrs(), slog.String("sender", t.d.Sender.String()), slog.String("next_hop", h.host.shown()))
	for _, i := range accepted {
		h.client.config.Log.LogAttrs(ctx, slog.LevelInfo, "delivered", append(attrs,
			slog.String("recipient", t.d.Recipients[i].Address.String()), slog.String("reply", r.String()))...)
	}
}
