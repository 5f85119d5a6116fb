package listeners

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
)

// transaction is one message with its envelope, as lines of SMTP.
type transaction struct {
	mail  string
	rcpt  []string
	later int    // recipients that were deferred
	data  []byte // dot-stuffed, with the line of the final dot
}

// serveSMTP serves connections by the words that Postfix and smtp-source say, and hands
// each message to deliver, which each connection gets for itself. Under LMTP it answers
// for each recipient.
func serveSMTP(ln net.Listener, newDeliver func() (func(*transaction) error, io.Closer)) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			deliver, closer := newDeliver()
			defer closer.Close()
			_ = converse(conn, deliver) // a client that is gone is no error
		}()
	}
}

func converse(conn net.Conn, deliver func(*transaction) error) error {
	r, w := bufio.NewReaderSize(conn, 1<<16), bufio.NewWriter(conn)
	var t transaction
	lmtp := false
	fmt.Fprint(w, "220 bench.example\r\n")
	for {
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "LHLO", "EHLO":
			lmtp = verb == "LHLO"
			fmt.Fprint(w, "250-bench.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
		case "MAIL":
			t = transaction{mail: line, data: t.data[:0]}
			fmt.Fprint(w, "250 2.1.0 ok\r\n")
		case "RCPT":
			// A destination that takes a part of each message does not count as one that fails.
			if len(t.rcpt) > 0 && strings.Contains(line, later) {
				t.later++
				fmt.Fprint(w, "451 4.3.0 later\r\n")
				continue
			}
			t.rcpt = append(t.rcpt, line)
			fmt.Fprint(w, "250 2.1.5 ok\r\n")
		case "DATA":
			fmt.Fprint(w, "354 go on\r\n")
			if err := w.Flush(); err != nil {
				return err
			}
			if t.data, err = readStuffed(r, t.data); err != nil {
				return err
			}
			reply := "250 2.0.0 ok\r\n"
			if err := deliver(&t); err != nil {
				reply = "451 4.3.0 " + err.Error() + "\r\n"
			}
			if lmtp {
				reply = strings.Repeat(reply, len(t.rcpt))
			}
			fmt.Fprint(w, reply)
		case "QUIT":
			fmt.Fprint(w, "221 2.0.0 bye\r\n")
			return w.Flush()
		default:
			fmt.Fprint(w, "250 2.0.0 ok\r\n")
		}
	}
}

// readStuffed appends the lines up to the final dot, and that, to data.
func readStuffed(r *bufio.Reader, data []byte) ([]byte, error) {
	start := true
	for {
		chunk, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return data, err
		}
		end := start && string(chunk) == ".\r\n"
		start = err == nil
		if data = append(data, chunk...); end {
			return data, nil
		}
	}
}

// bareRelay hands messages to a next hop on one connection, and keeps nothing: what is
// answered has been delivered.
type bareRelay struct {
	next string
	conn net.Conn
	r    *bufio.Reader
}

// deliver sends the envelope in one write, and the content in another.
func (b *bareRelay) deliver(t *transaction) error {
	if b.conn == nil {
		conn, err := dial(b.next)
		if err != nil {
			return err
		}
		b.conn, b.r = conn, bufio.NewReader(conn)
		if err := b.expect("220"); err != nil {
			return err
		}
		if err := b.command("EHLO bare.example\r\n", "250"); err != nil {
			return err
		}
	}
	var envelope bytes.Buffer
	envelope.WriteString(t.mail + "\r\n" + strings.Join(t.rcpt, "\r\n") + "\r\nDATA\r\n")
	if _, err := b.conn.Write(envelope.Bytes()); err != nil {
		return err
	}
	for range len(t.rcpt) + 1 {
		if err := b.expect("250"); err != nil {
			return err
		}
	}
	if err := b.expect("354"); err != nil {
		return err
	}
	if _, err := b.conn.Write(t.data); err != nil {
		return err
	}
	return b.expect("250")
}

func (b *bareRelay) command(line, code string) error {
	if _, err := io.WriteString(b.conn, line); err != nil {
		return err
	}
	return b.expect(code)
}

// expect reads one reply.
func (b *bareRelay) expect(code string) error {
	for {
		line, err := b.r.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("the next hop says %q", line)
		}
		if line[3] != '-' {
			return nil
		}
	}
}

// Close ends the connection to the next hop.
func (b *bareRelay) Close() error {
	if b.conn == nil {
		return nil
	}
	return b.conn.Close()
}

// counter is a next hop that counts messages and keeps none.
type counter struct {
	ln              net.Listener
	count, deferred atomic.Int64
}

func startCounter() (*counter, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{ln: ln}
	go func() {
		_ = serveSMTP(ln, func() (func(*transaction) error, io.Closer) { // ends with the listener
			return c.take, io.NopCloser(nil)
		})
	}()
	return c, nil
}

// later is in the addresses of recipients of which a message is taken for the first alone.
const later = "later@"

func (c *counter) take(t *transaction) error {
	c.deferred.Add(int64(t.later))
	c.count.Add(1)
	return nil
}
