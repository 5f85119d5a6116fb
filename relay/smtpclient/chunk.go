package smtpclient

import (
	"errors"
	"fmt"
	"io"
)

// mayChunk reports whether the hop gets a message by BDAT (RFC 3030): in one piece whose
// length is said before, so that nothing in it can be taken for its end. LMTP does without:
// RFC 2033 says how often the final dot is answered.
//
// Some servers offer CHUNKING, often by way of something in front of them, and do not know
// BDAT. They would take the message for commands, which its author may have written. So
// the first BDAT of a connection has one octet, which is no command, and not none, which
// Postfix refuses; where it fails, the message goes by DATA.
func (h *hop) mayChunk() bool {
	c := h.client
	return h.offers("CHUNKING") && !c.config.NoChunking && !c.config.LMTP && !c.noChunks.has(h.host.Address, c.config.Clock())
}

// errNoChunks ends a connection to a hop that offers CHUNKING and does not know BDAT.
var errNoChunks = errors.New("next hop offers CHUNKING, and does not know BDAT")

// avoidChunks remembers that a server does not know BDAT.
func (c *Client) avoidChunks(host Host) {
	c.config.Log.Warn("next hop offers CHUNKING and does not know BDAT: it gets messages by DATA", "next_hop", host.shown())
	c.noChunks.add(host.Address, c.config.Clock())
}

// errSize is the error for a message that is not as long as it was said to be.
var errSize = errors.New("the message has another size than is noted of it")

// writeChunk writes BDAT with a message of size octets, which like that of DATA ends with a
// line end, and returns what is to be written after it: its last octets, by which the hop has
// the message. ended says that it has a line end, and begun that its first octet has been
// sent. Not one octet more than was said follows: the hop would take it for a command.
func writeChunk(w io.Writer, size int, ended, begun bool, pieces func(each func([]byte) error) error) (end string, err error) {
	if !ended {
		end = "\r\n"
	}
	sent := 0
	if begun {
		sent = 1
	}
	if _, err := fmt.Fprintf(w, "BDAT %d LAST\r\n", size-sent+len(end)); err != nil {
		return "", err
	}
	left := size
	err = pieces(func(p []byte) error {
		if left -= len(p); left < 0 {
			return errSize
		}
		skipped := min(sent, len(p))
		p, sent = p[skipped:], sent-skipped
		if left == 0 && len(p) > 0 {
			last := len(p) - 1
			p, end = p[:last], string(p[last:])+end
		}
		_, err := w.Write(p)
		return err
	})
	if err == nil && left > 0 {
		err = errSize
	}
	return end, err
}
