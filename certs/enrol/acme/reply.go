package acme

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Answer is what is to be sent to an authority.
type Answer struct {
	To      address.Address
	Message *message.Message
}

// Bounds of when an answer that could not be sent is tried again: the longer ago the message
// came, the later.
const (
	sendSoonest = time.Minute
	sendLatest  = time.Hour
	// answersTime bounds one round: orders at other CAs wait for its end.
	answersTime = time.Minute
)

// Answers makes the answers that are due, and has send send them. A process that dies
// between that and the note that it was done sends the same message again, with the same
// Message-ID. The error joins all that failed: those answers are tried again.
func (rp *Responder) Answers(ctx context.Context, send func(context.Context, Answer) error) error {
	due, err := rp.Store.DueChallenges(ctx, rp.Clock())
	if err != nil {
		return err
	}
	var errs []error
	end := rp.Clock().Add(answersTime)
	for i := range due {
		if ctx.Err() != nil || rp.Clock().After(end) {
			break // they are due in the next round
		}
		if err := rp.answer(ctx, &due[i], send); err != nil {
			errs = append(errs, fmt.Errorf("answer to the challenge of order %s: %w", due[i].Order[:min(8, len(due[i].Order))], err))
		}
	}
	return errors.Join(errs...)
}

func (rp *Responder) answer(ctx context.Context, c *store.Challenge, send func(context.Context, Answer) error) error {
	orders, err := rp.Store.Orders(ctx, store.OrderQuery{Prefix: c.Order})
	if err != nil || len(orders) != 1 {
		return err
	}
	o := &orders[0]
	en, ok := rp.Enrolments[o.Enrolment]
	r, err := readReference(o.Reference)
	if !ok || err != nil || r.Challenge != c.ID {
		return err // the configuration has the table no more, or the order has another challenge now
	}
	claim := *c
	claim.NextAt = rp.Clock().Add(min(max(rp.Clock().Sub(c.ArrivedAt), sendSoonest), sendLatest))
	if claimed, err := rp.Store.ClaimChallenge(ctx, c, claim.NextAt); err != nil || !claimed {
		return err
	}
	if err := rp.try(ctx, en.Provider, o, c, r.Token, send); err != nil {
		if ctx.Err() != nil {
			// Broken off, which is no failure: it stays due.
			_, released := rp.Store.ClaimChallenge(context.WithoutCancel(ctx), &claim, c.NextAt)
			err = errors.Join(err, released)
		}
		return err
	}
	// Also where the process is to end: the answer must not be sent again.
	if err := rp.Store.ChallengeAnswered(context.WithoutCancel(ctx), c); err != nil {
		return err
	}
	rp.Log.InfoContext(ctx, "certificate challenge answered", "address", o.Address.String(), "enrolment", o.Enrolment,
		"order", o.Bundle[:min(8, len(o.Bundle))], "recipient", c.ReplyTo.String())
	return nil
}

// try makes and sends one answer; token is the part of the token that the order has.
func (rp *Responder) try(ctx context.Context, p *Provider, o *store.Order, c *store.Challenge, token string, send func(context.Context, Answer) error) error {
	digest, err := p.digest(ctx, c.Token+token)
	if err != nil {
		return err
	}
	m, err := rp.reply(o, c, digest)
	if err != nil {
		return err
	}
	return send(ctx, Answer{c.ReplyTo, m})
}

// digest is that of the key authorization (RFC 8555 section 8.1) of a token, of which the
// parts are joined as texts (RFC 8823 section 3).
func (p *Provider) digest(ctx context.Context, token string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	account, err := p.registered(ctx)
	if err != nil {
		return "", err
	}
	print, err := account.Thumbprint()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(token + "." + print))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// reply writes the answer by RFC 8823 section 3.2. It is neither signed nor encrypted here:
// the section allows text/plain, and DKIM, which the MTA adds.
func (rp *Responder) reply(o *store.Order, c *store.Challenge, digest string) (*message.Message, error) {
	name := sha256.Sum256([]byte(c.Order + "\x00" + c.ID + "\x00" + c.Token))
	texts := [][2]string{
		{"Date", rp.Clock().Format(time.RFC1123Z)},
		{"From", o.Address.String()},
		{"To", c.ReplyTo.String()},
		{"Subject", "Re: " + subjectPrefix + " " + c.Token},
		{"Message-ID", "<acme-" + hex.EncodeToString(name[:16]) + "@" + rp.Hostname + ">"},
	}
	if isMessageID(c.MessageID) {
		texts = append(texts, [2]string{"In-Reply-To", c.MessageID}, [2]string{"References", c.MessageID})
	}
	texts = append(texts, [][2]string{
		{"Auto-Submitted", "auto-replied; type=acme"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=us-ascii"},
		{"Content-Transfer-Encoding", "7bit"},
	}...)
	var fields []message.Field
	for _, t := range texts {
		f, err := message.NewField(t[0], t[1])
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	body := "-----BEGIN ACME RESPONSE-----\r\n" + digest + "\r\n-----END ACME RESPONSE-----\r\n"
	return message.Build(fields, []byte(body))
}

// isMessageID reports whether a text is a msg-id that can be repeated (RFC 5322 section
// 3.6.4).
func isMessageID(s string) bool {
	return len(s) > 2 && len(s) < 900 && s[0] == '<' && s[len(s)-1] == '>' && strings.Count(s, "@") == 1 &&
		strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
