package smtpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// wire is a connection that can also be read without waiting, by itself or through the TLS
// on it. Its Read is for one goroutine.
type wire struct {
	net.Conn
	raw    syscall.RawConn // nil: there is nothing without waiting
	atOnce bool            // Read does not wait
}

func newWire(nc net.Conn) (*wire, error) {
	w := &wire{Conn: nc}
	c, ok := nc.(syscall.Conn)
	if !ok {
		return w, nil
	}
	var err error
	w.raw, err = c.SyscallConn()
	return w, err
}

// Read implements io.Reader. Where there is nothing without waiting, its error is
// os.ErrDeadlineExceeded, after which TLS can be read on.
func (w *wire) Read(p []byte) (int, error) {
	switch {
	case !w.atOnce:
		return w.Conn.Read(p)
	case w.raw == nil:
		return 0, os.ErrDeadlineExceeded
	}
	return readAtOnce(w.raw, p)
}

// unread returns what the hop has said and was not read: what is there without waiting. Its
// error is why nothing more can come; it is nil while something can.
func (h *hop) unread() (said []byte, err error) {
	h.wire.atOnce = true
	defer func() { h.wire.atOnce = false }()
	for err == nil {
		said, err = h.r.Peek(len(said) + 1)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return said, err
}

// inStep returns an error where there is a reply to nothing that was sent: the next one
// would be taken for the answer to something else, and in the end for that to the message.
// Or where no reply can come any more.
func (h *hop) inStep() error {
	said, err := h.unread()
	switch {
	case len(said) > 0:
		return fmt.Errorf("%w: %.100q", errOutOfStep, said)
	case err != nil:
		return fmt.Errorf("reading a reply: %w", err)
	}
	return nil
}

// unasked returns the replies that the hop has given and that were not read. Its error means
// that what it has said is something else as well.
func (h *hop) unasked() (replies []fault.Reply, err error) {
	said, _ := h.unread()
	if len(said) == 0 {
		return nil, nil
	}
	for r := bufio.NewReader(bytes.NewReader(said)); ; {
		if _, err := r.Peek(1); err != nil {
			return replies, nil
		}
		_, reply, err := readReply(r)
		if err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
}
