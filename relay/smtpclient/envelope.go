package smtpclient

import (
	"context"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// maxGroup is how many commands are sent before their replies are read (RFC 2920
// section 3.1): so few that their replies find room in the buffers, and the hop never
// waits for us to read while we wait for it to do so.
const maxGroup = 100

// groupSize is how many commands this hop may get at once.
func (h *hop) groupSize() int {
	if h.offers("PIPELINING") && !h.client.config.NoPipelining {
		return maxGroup
	}
	return 1
}

// step is a command of a transaction before its content.
type step struct {
	line      string
	wait      time.Duration
	recipient int    // of RCPT; else one of the constants below
	chunk     []byte // what follows the line
}

// mayGet reports whether a reply can be one to the step (RFC 5321 section 4.3.2). After one
// that cannot, it is not known what the hop waits for: it may be reading a message.
func (s step) mayGet(r fault.Reply) bool {
	switch s.recipient {
	case stepData:
		return r.Code == 354 || r.Code >= 400
	case stepChunk:
		return true // see ready
	}
	return r.Code/100 != 3
}

const (
	stepMail  = -1
	stepData  = -2
	stepChunk = -3 // the first BDAT
)

// envelope is what the hop answered before the content.
type envelope struct {
	mail, data, chunk fault.Reply
	accepted          []int // recipients, of whom it will take the content
}

// envelope sends MAIL, a RCPT for each open recipient that the hop may get now, and DATA. A
// recipient that is refused gets its result; those accepted stay open, and so do those
// that the hop wants in another transaction. Where the content goes by BDAT there is no
// DATA: on a new connection the first chunk stands for it, and that the hop takes chunks
// counts as 354. The error means that the connection is of no use any
// more: the hop has no content, and all that are open may be tried again.
func (h *hop) envelope(ctx context.Context, t *Transfer) (*envelope, error) {
	e := &envelope{}
	for steps := h.steps(t); len(steps) > 0 && e.wants(steps[0]); {
		group := steps[:min(len(steps), h.groupSize())]
		steps = steps[len(group):]
		if err := h.write(ctx, group); err != nil {
			return nil, err
		}
		for _, s := range group {
			h.trying = s.recipient == stepChunk && len(e.accepted) > 0
			r, err := h.reply(ctx, s.wait)
			if err != nil {
				return nil, err
			}
			h.trying = false
			if !s.mayGet(r) {
				return nil, fmt.Errorf("%w: %q to %.4s", errOutOfStep, r.String(), s.line)
			}
			if r.Code == 421 && s.recipient >= 0 {
				return nil, asError(r)
			}
			h.take(t, e, s, r)
			if r.Code == 421 {
				return e, nil
			}
		}
	}
	if h.chunking && e.mail.Code/100 == 2 && len(e.accepted) > 0 {
		return e, h.ready(e)
	}
	return e, nil
}

// ready finds out whether the hop takes chunks for the recipients that it has accepted.
func (h *hop) ready(e *envelope) error {
	switch {
	case h.chunked, e.chunk.Code/100 == 2:
		h.chunked, e.data.Code = true, 354
	case e.chunk.Code/100 != 4:
		return errNoChunks
	}
	return nil
}

// steps returns the commands. A recipient that this hop cannot be asked about gets its
// result.
func (h *hop) steps(t *Transfer) []step {
	all := []step{{line: h.mailFrom(t), wait: h.client.timeouts.command, recipient: stepMail}}
	for _, i := range h.share(t) {
		line, err := t.rcptTo(h, t.d.Recipients[i])
		if err != nil {
			t.settle([]int{i}, err)
			continue
		}
		h.domains[t.d.Recipients[i].Address.Domain()] = true
		all = append(all, step{line: line, wait: h.client.timeouts.command, recipient: i})
	}
	switch {
	case h.chunking && h.chunked:
		return all
	case h.chunking:
		h.begun = true
		return append(all, step{line: "BDAT 1", wait: h.client.timeouts.data, recipient: stepChunk, chunk: t.head[:1]})
	}
	return append(all, step{line: "DATA", wait: h.client.timeouts.data, recipient: stepData})
}

// wants reports whether a step makes sense after the answers so far.
func (e *envelope) wants(s step) bool {
	switch {
	case s.recipient == stepMail:
		return true
	case e.mail.Code/100 != 2:
		return false
	}
	return s.recipient >= 0 || len(e.accepted) > 0
}

// take notes the answer to a step.
func (h *hop) take(t *Transfer, e *envelope, s step, r fault.Reply) {
	switch {
	case s.recipient == stepMail:
		e.mail = r
	case s.recipient == stepData:
		e.data = r
	case s.recipient == stepChunk:
		if e.chunk = r; r.Code/100 == 4 {
			e.data = r
		}
	case e.mail.Code/100 != 2:
		// Sent before the hop had refused the sender: the answer is about that.
	case r.Code/100 == 2:
		e.accepted = append(e.accepted, s.recipient)
	case tooMany(r) && len(e.accepted) > 0:
		// It stays open for another transaction.
	case r.Code == 552 && r.Enhanced[1] != 2:
		// RFC 5321 section 4.5.3.1.10: too many recipients, and temporary.
		t.settle([]int{s.recipient}, fault.Narrow(fault.NextHop, fault.ManyRecipients, "next hop accepts no more recipients: "+r.Text, nil))
	default:
		t.settle([]int{s.recipient}, h.said(r))
	}
}

// tooMany reports a reply that means "not in this transaction" (RFC 5321
// section 4.5.3.1.10): 452, or 552 from older servers, unless it is about the
// mailbox.
func tooMany(r fault.Reply) bool {
	return (r.Code == 452 || r.Code == 552) && r.Enhanced[1] != 2
}
