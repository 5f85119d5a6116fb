package demo

import (
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
)

// sent is what the gateway answered.
type sent struct {
	refused map[string]string // recipient to reply, at RCPT
	reply   string            // of the message: "" is accepted
}

// send hands a message to a port over SMTP, as a mail client or a foreign
// server does.
func send(port int, from string, to []string, raw []byte) (sent, error) {
	s := sent{refused: map[string]string{}}
	c, err := smtp.Dial(fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("client.example"), c.Mail(from)); err != nil {
		return s, err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			s.refused[r] = replyOf(err)
		}
	}
	if len(s.refused) < len(to) {
		s.reply = replyOf(data(c, raw))
	}
	return s, c.Quit()
}

func data(c *smtp.Client, raw []byte) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}

// replyOf returns an error as the reply that the server gave.
func replyOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Sprintf("%d %s", e.Code, e.Msg)
	}
	return err.Error()
}
