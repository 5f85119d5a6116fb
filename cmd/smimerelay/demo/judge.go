package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// outcome is everything that can be seen from outside of one scene.
type outcome struct {
	world   *world
	scene   scene
	answer  sent
	arrived []delivery
}

// check judges what became of one recipient: what happened, what was checked of
// it, and an error when that was not as it must be.
type check func(o outcome, to string) (what, checked string, err error)

// describe says what can be seen, whatever it means.
func (o outcome) describe(to string) string {
	if r := o.answer.refused[to]; r != "" {
		return "refused at RCPT: " + r
	}
	if o.answer.reply != "" {
		return "message refused: " + o.answer.reply
	}
	if _, err := o.delivered(to); err == nil {
		return "delivered"
	}
	return "accepted, not delivered"
}

// delivered returns the one message that arrived for a recipient.
func (o outcome) delivered(to string) (*message.Message, error) {
	var found []delivery
	for _, d := range o.arrived {
		if d.recipient == to && d.sender != "" {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d messages arrived instead of one", len(found))
	}
	return message.Parse(found[0].raw)
}

// sealed wants a message that only the recipient can read, and that our sender
// signed.
func sealed(o outcome, to string) (string, string, error) {
	m, err := o.delivered(to)
	if err != nil {
		return "", "", err
	}
	if o.readable(m) {
		return "", "", errors.New("the text is readable by everybody")
	}
	r, err := o.open(m, o.world.keys(to))
	if err != nil {
		return "", "", err
	}
	if r.Encryption == nil {
		return "", "", errors.New("it is not encrypted")
	}
	return "delivered, signed and encrypted",
		fmt.Sprintf("decrypts with the recipient's key (%s), signature of %s is valid, text intact", r.Encryption.Cipher, o.scene.from), nil
}

// signedOnly wants a message that everybody can read and that our sender
// signed.
func signedOnly(o outcome, to string) (string, string, error) {
	m, err := o.delivered(to)
	if err != nil {
		return "", "", err
	}
	if _, err := o.open(m, nil); err != nil {
		return "", "", err
	}
	return "delivered, signed", fmt.Sprintf("signature of %s is valid, text intact", o.scene.from), nil
}

// open opens a delivered message and wants a good signature of the sender and
// the text that was sent.
func (o outcome) open(m *message.Message, keys certs.Keys) (smime.Report, error) {
	v, err := path.NewValidator(path.Config{
		Anchors: o.world.ca.anchors(), Revocation: certs.RevocationOff, Clock: o.world.clock,
	})
	if err != nil {
		return smime.Report{}, err
	}
	opened := smime.Open(context.Background(), m, smime.OpenOptions{Keys: keys, Checker: v})
	r := opened.Report
	switch {
	case r.Result != certs.Pass:
		return r, fmt.Errorf("opening it says %s (%s)", r.Result, r.Reason)
	case !slices.ContainsFunc(r.Signers, func(s smime.Signer) bool { return slices.Contains(s.Addresses, o.scene.from) }):
		return r, fmt.Errorf("it is not signed by %s", o.scene.from)
	case !o.readable(opened.Message):
		return r, errors.New("its text is not the one that was sent")
	}
	return r, nil
}

// readable reports whether the text that was sent can be read in m without a
// key.
func (o outcome) readable(m *message.Message) bool {
	found := false
	m.Root().Walk(func(p *message.Part) bool {
		if strings.HasPrefix(p.MediaType, "text/") {
			text, err := p.Decode()
			found = found || err == nil && bytes.Equal(bytes.TrimSpace(text), []byte(strings.TrimSpace(o.scene.text)))
		}
		return true
	})
	return found
}

// refused wants a permanent reply at RCPT with words in it, and no message.
func refused(words string) check {
	return func(o outcome, to string) (string, string, error) {
		reply := o.answer.refused[to]
		switch {
		case !strings.HasPrefix(reply, "550 "):
			return "", "", errors.New("it was not refused with 550 at RCPT")
		case !strings.Contains(reply, words):
			return "", "", fmt.Errorf("the reply does not say %q", words)
		case len(o.arrived) > 0:
			return "", "", errors.New("a message was sent anyway")
		}
		return "refused at RCPT: " + reply, "nothing was sent", nil
	}
}

// stripped wants no message for the recipient, and a notice to the sender that
// names them.
func stripped(o outcome, to string) (string, string, error) {
	for _, d := range o.arrived {
		if d.recipient == to {
			return "", "", errors.New("a message was sent to a recipient without a certificate")
		}
	}
	for _, d := range o.arrived {
		if d.recipient != o.scene.from || d.sender != "" {
			continue
		}
		if !bytes.Contains(d.raw, []byte(to)) {
			return "", "", errors.New("the notice does not name the recipient")
		}
		return "removed, the sender got a notice", "nothing was sent to this recipient, who is named in the notice", nil
	}
	return "", "", errors.New("the sender got no notice")
}

// status wants the inbound message delivered with exactly one status that has
// the words in it.
func status(result string, words ...string) check {
	return func(o outcome, to string) (string, string, error) {
		m, err := o.delivered(to)
		if err != nil {
			return "", "", err
		}
		said := m.All("X-SMIME-Status")
		if len(said) != 1 {
			return "", "", fmt.Errorf("it has %d X-SMIME-Status fields instead of one", len(said))
		}
		if !strings.HasPrefix(said[0], result+";") {
			return "", "", fmt.Errorf("its status is %q instead of %s", said[0], result)
		}
		for _, w := range words {
			if !strings.Contains(said[0], w) {
				return "", "", fmt.Errorf("its status %q does not say %q", said[0], w)
			}
		}
		if result == "pass" && !o.readable(m) {
			return "", "", errors.New("its text is not the one that was sent")
		}
		return "delivered, status " + result, "X-SMIME-Status: " + said[0], nil
	}
}
