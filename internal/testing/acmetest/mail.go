package acmetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"
)

// Message is a challenge message (RFC 8823 section 3.1) that is not signed yet.
type Message struct {
	From, ReplyTo, To, Token string
}

// Bytes writes the message. Each edit is a field that replaces those of its name, or, with
// nothing behind the colon, removes them.
func (m Message) Bytes(edits ...string) []byte {
	fields := []string{
		"From: " + m.From, "To: " + m.To, "Subject: ACME: " + m.Token,
		"Date: " + time.Now().Format(time.RFC1123Z), "Message-ID: <" + m.Token + "@ca.example>",
		"Auto-Submitted: auto-generated; type=acme", "MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii",
	}
	if m.ReplyTo != "" {
		fields = append(fields, "Reply-To: "+m.ReplyTo)
	}
	for _, e := range edits {
		name, value, _ := strings.Cut(e, ":")
		var kept []string
		for _, f := range fields {
			if n, _, _ := strings.Cut(f, ":"); !strings.EqualFold(n, name) {
				kept = append(kept, f)
			}
		}
		if fields = kept; strings.TrimSpace(value) != "" {
			fields = append(fields, e)
		}
	}
	return []byte(strings.Join(fields, "\r\n") + "\r\n\r\nThis message is for a program.\r\n")
}

// mail hands the message of an order over.
func (s *Server) mail(o *order) {
	o.sent = true
	if s.Mail != nil {
		m := Message{From: s.From, ReplyTo: s.ReplyTo, To: o.address, Token: o.token1}
		s.Mail(m)
	}
}

// Reply takes an answer, and decides by it (section 3.2). The error says what is wrong with
// it; then the challenge of the order that it is for, if there is one, has failed.
func (s *Server) Reply(raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies++
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	token, ok := strings.CutPrefix(m.Header.Get("Subject"), "Re: ACME: ")
	if !ok {
		return fmt.Errorf("subject %q", m.Header.Get("Subject"))
	}
	for _, o := range s.orders {
		if o.token1 != token {
			continue
		}
		if err := s.judge(o, m); err != nil {
			o.challenge, o.status, o.problem = "invalid", "invalid", "incorrectResponse"
			return err
		}
		o.challenge = "valid"
		if o.status == "pending" {
			o.status = "ready"
		}
		return nil
	}
	return fmt.Errorf("no order has the token %q", token)
}

func (s *Server) judge(o *order, m *mail.Message) error {
	to := s.ReplyTo
	if to == "" {
		to = s.From
	}
	for name, want := range map[string]string{
		"From": o.address, "To": to, "In-Reply-To": "<" + o.token1 + "@ca.example>", "Content-Type": "text/plain; charset=us-ascii",
	} {
		if got := m.Header.Get(name); !strings.EqualFold(got, want) {
			return fmt.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(body), "-----BEGIN ACME RESPONSE-----\r\n")
	digest, _, ok := strings.Cut(rest, "-----END ACME RESPONSE-----\r\n")
	sum := sha256.Sum256([]byte(o.token1 + o.token2 + "." + o.account.print))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	if got := strings.ReplaceAll(digest, "\r\n", ""); !ok || got != want {
		return fmt.Errorf("digest %q, not %q", got, want)
	}
	return nil
}
