package memory

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// startSink starts a next hop that reads every message to its end and keeps nothing;
// it returns its address.
func startSink(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			work.Go(func() { swallow(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return l.Addr().String()
}

func swallow(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	reply := func(text string) { _, _ = io.WriteString(c, text+"\r\n") } // a client that is gone is seen when it is read from
	reply("220 sink.test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			reply("250-sink.test\r\n250-8BITMIME\r\n250 DSN")
		case "DATA":
			reply("354 go on")
			if skipData(r) != nil {
				return
			}
			reply("250 2.0.0 Ok")
		case "QUIT":
			reply("221 2.0.0 bye")
			return
		default:
			reply("250 2.0.0 Ok")
		}
	}
}

// skipData reads to the line with a single dot.
func skipData(r *bufio.Reader) error {
	start := true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if start && string(line) == ".\r\n" {
			return nil
		}
		start = bytes.HasSuffix(line, []byte("\n"))
	}
}
