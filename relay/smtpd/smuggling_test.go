package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// cutListener gives connections of which one read ends at an offset, as if a packet did.
type cutListener struct {
	net.Listener
	at *atomic.Int64
}

func (l cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: c, left: l.at.Load()}, nil
}

type cutConn struct {
	net.Conn
	left int64 // before the cut
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left > 0 {
		p = p[:min(int64(len(p)), c.left)]
	}
	n, err := c.Conn.Read(p)
	c.left -= int64(n)
	return n, err
}

type cutServer struct {
	*Server
	at *atomic.Int64
}

func (s cutServer) Serve(ln net.Listener) error { return s.Server.Serve(cutListener{ln, s.at}) }

// vectors are all sequences of CR, LF and dot up to a length.
func vectors(length int) (all []string) {
	level := []string{""}
	for range length {
		var next []string
		for _, s := range level {
			for _, c := range []string{"\r", "\n", "."} {
				next = append(next, s+c)
			}
		}
		all, level = append(all, next...), next
	}
	return all
}

// strict is RFC 5321: the text that ends at the first CRLF dot CRLF, without the dots that
// were added; ok is false if there is a CR or LF that stands alone in it.
func strict(stream string) (content string, ok bool) {
	text, _, found := strings.Cut("\r\n"+stream, "\r\n.\r\n")
	if !found || strings.Count(text, "\r\n") != strings.Count(text, "\r") || strings.Count(text, "\r\n") != strings.Count(text, "\n") {
		return "", false
	}
	return strings.ReplaceAll(text+"\r\n", "\r\n.", "\r\n")[2:], true
}

// Every vector of CR, LF and dot, in DATA and in BDAT, with the stream cut at every octet
// of it: what is delivered is what RFC 5321 says, or nothing at all; and a message that
// follows what another server may take for the end is never delivered.
func TestSmugglingVectors(t *testing.T) {
	const forged = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n"
	cut := &atomic.Int64{}
	w := &world{t: t, handler: &wiretest.Handler{}, sink: &wiretest.Sink{}}
	w.server = NewServer(Config{
		Hostname: "gw.example.com", Handler: w.handler, Queue: w.sink, Log: (&wiretest.Log{}).Logger(),
	})
	w.addr = wiretest.Start(t, cutServer{w.server, cut})
	const head = "EHLO c\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"
	delivered := 0
	send := func(stream string, at int) (string, string) {
		cut.Store(int64(at))
		c := wiretest.Dial(t, w.addr)
		defer c.Close()
		if _, err := io.WriteString(c, stream+"QUIT\r\n"); err != nil {
			t.Fatal(err)
		}
		answers, _ := io.ReadAll(bufio.NewReader(c))
		all := w.sink.All()[delivered:]
		delivered += len(all)
		var got strings.Builder
		for _, d := range all {
			for _, r := range d.Recipients {
				fmt.Fprintf(&got, "%s ", r.Address)
			}
			_, body, _ := strings.Cut(string(d.Message.Bytes()), "\r\n\r\n")
			fmt.Fprintf(&got, "%q;", body)
		}
		return got.String(), string(answers)
	}
	for _, v := range vectors(5) {
		content := "Subject: s\r\n\r\nx" + v + forged
		want := ""
		if text, ok := strict(content + ".\r\n"); ok {
			_, body, _ := strings.Cut(text, "\r\n\r\n")
			want = fmt.Sprintf("b@example.net %q;", body)
		}
		// Where the vector is the end of the message, RFC 5321 says that a second follows.
		if strings.HasPrefix(v, "\r\n.\r\n") {
			want += `victim@example.net "x\r\n";`
		}
		data := head + "DATA\r\n"
		for at := range len(v) + 1 {
			if got, answers := send(data+content+".\r\n", len(data)+len("Subject: s\r\n\r\nx")+at); got != want {
				t.Fatalf("DATA %q cut at %d: delivered %s, want %s; answers %q", v, at, got, want, answers)
			}
		}
		chunk := "Subject: s\r\n\r\nx" + v
		want = ""
		if bareOnes := strings.ReplaceAll(chunk, "\r\n", ""); !strings.ContainsAny(bareOnes, "\r\n") {
			_, body, _ := strings.Cut(chunk, "\r\n\r\n")
			if !strings.HasSuffix(body, "\n") {
				body += "\r\n"
			}
			want = fmt.Sprintf("b@example.net %q;", body)
		}
		for at := range len(v) + 1 {
			n := len(chunk) - len(v) + at
			stream := fmt.Sprintf("%sBDAT %d\r\n%sBDAT %d LAST\r\n%s", head, n, chunk[:n], len(chunk)-n, chunk[n:])
			if got, answers := send(stream, len(head)+at); got != want {
				t.Fatalf("BDAT %q in two at %d: delivered %s, want %s; answers %q", v, at, got, want, answers)
			}
		}
	}
}
