package milter

import (
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

func rawPacket(code byte, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	return string(append(append(b, code), data...))
}

// Whatever an MTA sends, the connection comes to an end with it, nothing
// panics, and nothing is put into the queue that was not a whole message.
func FuzzPackets(f *testing.F) {
	offer := rawPacket('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")
	mail, rcpt := rawPacket('M', "<a@b.c>\x00RET=HDRS\x00"), rawPacket('R', "<d@e.f>\x00NOTIFY=NEVER\x00")
	whole := mail + rcpt + rawPacket('L', "Subject\x00 x\n y\x00") + rawPacket('N', "") + rawPacket('B', "body\r\n") + rawPacket('E', "end\r\n")
	f.Add([]byte(offer + rawPacket('C', "host\x004\x00\x19192.0.2.1\x00") + rawPacket('H', "helo\x00") + whole + rawPacket('A', "") + whole + rawPacket('Q', "")))
	f.Add([]byte(offer + rawPacket('C', "host\x00") + rawPacket('D', "") + rawPacket('D', "Mi\x00") + rawPacket('E', "") + rcpt + mail + mail))
	f.Add([]byte(offer + "\x00\x00\x00\x00" + "\xff\xff\xff\xffE"))
	f.Add([]byte(offer + mail + rcpt + rawPacket('L', "a") + rawPacket('L', "\x00\x00\x00") + rawPacket('L', "a\nb\x00c\nd\x00") + rawPacket('E', "")))
	f.Add([]byte(offer + "\x00\x00\x10\x00M<"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var complaints bytes.Buffer
		log.SetOutput(&complaints)
		defer log.SetOutput(io.Discard)
		h, sink := &wiretest.Handler{}, &wiretest.Sink{}
		s := NewServer(Config{Handler: h, Queue: sink, Hostname: "gw.example.com", Log: slog.New(slog.NewTextHandler(&complaints, nil))})
		ours, theirs := net.Pipe()
		c := s.newConn(ours)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer ours.Close()
			c.Run()
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		_, _ = theirs.Write(data) // it may be cut
		theirs.Close()
		<-done // a hang ends the test, with the stacks of all goroutines
		<-read
		if strings.Contains(complaints.String(), "panic") {
			t.Fatal(complaints.String())
		}
		for _, m := range h.Seen() {
			if len(m.Envelope.Recipients) == 0 {
				t.Fatalf("processed a message without a recipient: %+v", m)
			}
		}
		if all := sink.All(); len(all) > 0 {
			t.Fatalf("queued %v", all)
		}
	})
}
