package service

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// stated finds the lines of the log that state a refusal of a recipient, or of a message.
var stated = regexp.MustCompile(`(?m)^.*(msg=refused|msg="not delivered"|outcome=refused|outcome=deferred|outcome="refused at RCPT").*$`)

// TestRefusalsAreLoggedOnce: whatever the protocol and the stage, one line states why a
// recipient does not get the message.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	listener := func(name, protocol string) string {
		return "[[listener]]\nname = \"" + name + "\"\nprotocol = \"" + protocol + "\"\naddress = \"127.0.0.1:0\"\ndirection = \"outbound\"\n"
	}
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", listener("filter", "lmtp")+listener("mta", "milter")+"[trust]", 1))
	w.hop.refuses = "gone@plain.example"
	const (
		atRCPT, forever, later, fine = "nobody@enc.example", "gone@plain.example", "carl@signed.example", "dave@plain.example"
	)
	protocols := map[string]func(to ...string) error{"smtp": w.bySMTP, "lmtp": w.byLMTP, "milter": w.byMilter}
	for _, tt := range []struct {
		protocol string
		to       []string
		lines    int
		accepted bool // by the listener
	}{
		{"smtp", []string{atRCPT}, 1, false}, {"lmtp", []string{atRCPT}, 1, false}, {"milter", []string{atRCPT}, 1, false},
		{"smtp", []string{later}, 1, false}, {"lmtp", []string{later}, 1, false}, {"milter", []string{later}, 1, false},
		// The client is to try again for both: why, is logged for both.
		{"smtp", []string{later, fine}, 2, false}, {"milter", []string{later, fine}, 2, false},
		{"lmtp", []string{later, fine}, 1, false},
		{"lmtp", []string{forever}, 1, false},
		{"smtp", []string{forever}, 1, true}, // by the queue
	} {
		before := len(w.log.String())
		if err := protocols[tt.protocol](tt.to...); (err == nil) != tt.accepted {
			t.Errorf("%s to %q: %v", tt.protocol, tt.to, err)
		}
		if tt.accepted {
			w.log.waitCount(t, "given_up=1", 1)
		}
		if lines := stated.FindAllString(w.log.String()[before:], -1); len(lines) != tt.lines {
			t.Errorf("%s to %q: stated %d times\n%s", tt.protocol, tt.to, len(lines), strings.Join(lines, "\n"))
		}
	}
}

// TestRefusalsNameTheContact: what a person reads says whom to ask, by each protocol, whether a
// rule refuses or the listener.
func TestRefusalsNameTheContact(t *testing.T) {
	listener := func(name, protocol string) string {
		return "[[listener]]\nname = \"" + name + "\"\nprotocol = \"" + protocol + "\"\naddress = \"127.0.0.1:0\"\ndirection = \"outbound\"\n"
	}
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", listener("filter", "lmtp")+listener("mta", "milter")+"[notices]\ncontact = \"https://help.example\"\n[trust]", 1))
	for protocol, send := range map[string]func(to ...string) error{"smtp": w.bySMTP, "lmtp": w.byLMTP, "milter": w.byMilter} {
		for _, to := range []string{"none@enc.example", "@a.example:b@plain.example"} {
			if err := send(to); err == nil || !strings.Contains(err.Error(), " (help: https://help.example)") {
				t.Errorf("%s to %s: %v does not name the contact", protocol, to, err)
			}
		}
	}
}

const refusedText = "From: alice@example.org\r\nTo: x@example.net\r\nSubject: x\r\n\r\nHello.\r\n"

// bySMTP sends a message by SMTP, and returns why one of its recipients does not get it.
func (w *world) bySMTP(to ...string) error {
	c, err := gosmtp.Dial(w.address("out"))
	if err != nil {
		return err
	}
	defer c.Close()
	return transfer(c, to)
}

func (w *world) byLMTP(to ...string) error {
	conn, err := net.Dial("tcp", w.address("filter"))
	if err != nil {
		return err
	}
	c := gosmtp.NewClientLMTP(conn)
	defer c.Close()
	return transfer(c, to)
}

func transfer(c *gosmtp.Client, to []string) error {
	if err := c.Mail("alice@example.org", nil); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r, nil); err != nil {
			return err
		}
	}
	d, err := c.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(d, refusedText)
	return errors.Join(err, d.Close())
}

// byMilter speaks version 6 of the protocol, without the options to leave answers out.
func (w *world) byMilter(to ...string) error {
	c, err := net.Dial("tcp", w.address("mta"))
	if err != nil {
		return err
	}
	defer c.Close()
	steps := []string{
		"O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x00\x00\x00", "Cclient.example\x004\x00\x19192.0.2.1\x00",
		"Hclient.example\x00", "M<alice@example.org>\x00",
	}
	for _, r := range to {
		steps = append(steps, "R<"+r+">\x00")
	}
	for _, step := range append(steps, "LFrom\x00alice@example.org\x00", "LSubject\x00x\x00", "N", "BHello.\r\n", "E") {
		packet := append(binary.BigEndian.AppendUint32(nil, uint32(len(step))), step...)
		if _, err := c.Write(packet); err != nil {
			return err
		}
		answer, err := readPacket(c)
		if err != nil {
			w.t.Error(err)
			return err
		}
		if strings.ContainsRune("rty", rune(answer[0])) { // reject, tempfail, a reply
			return errors.New(string(answer))
		}
	}
	return nil
}

func readPacket(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}
