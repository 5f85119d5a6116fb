package smime

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// What is wrapped is signed with its header, but for what no recipient may see, and reads
// as it was sent.
func TestSignWrapped(t *testing.T) {
	w := newWorld(t)
	for name, text := range samples {
		for _, opaque := range []bool{false, true} {
			m := mail(t, "Bcc: eve@example.org\nReceived: from a by b\n"+text)
			if message.LineEnds(m.Bytes()) != message.CRLF {
				continue // no reader takes it for one message
			}
			signed := w.sign(t, m, w.alice, SignOptions{Wrapped: true, Opaque: opaque})
			opened := w.open(signed)
			if opened.Report.Result != certs.Pass || opened.payload.MediaType != "message/rfc822" || signed.Has("Bcc") || !signed.Has("Subject") {
				t.Errorf("%s, opaque %v: %s, %+v", name, opaque, signed.Header(), opened.Report)
				continue
			}
			inner := parse(t, string(opened.payload.Content()))
			if inner.Has("Bcc") || inner.Has("Received") || inner.Get("Subject") != "hello" || inner.Get("From") != m.Get("From") {
				t.Errorf("%s, opaque %v: wrapped header %s", name, opaque, inner.Header())
			}
			want, err := m.Root().Decode()
			got, errGot := inner.Root().Decode()
			if err = errors.Join(err, errGot); err != nil || !inner.Root().Multipart() && !bytes.Equal(bytes.TrimRight(got, "\r\n"), bytes.TrimRight(want, "\r\n")) {
				t.Errorf("%s, opaque %v: wrapped body %.100q, want %.100q (%v)", name, opaque, got, want, err)
			}
		}
	}
}

// A wrapped message is as large as a stream as otherwise, and has no other protection.
func TestSignWrappedStream(t *testing.T) {
	w := newWorld(t)
	raw := mail(t, largeMessages["text"]).Bytes()
	var signed bytes.Buffer
	if err := SignStream(&signed, bytes.NewReader(raw), int64(len(raw)), w.alice, SignOptions{Wrapped: true, Time: w.now}); err != nil {
		t.Fatal(err)
	}
	if o := w.open(parse(t, signed.String())); o.payload == nil || o.payload.MediaType != "message/rfc822" || !strings.HasSuffix(string(o.payload.Content()), "nothing else\r\n") {
		t.Errorf("%+v", o.Report)
	}
	if _, err := Sign(parse(t, string(raw)), w.alice, SignOptions{Wrapped: true, Headers: HeadersClear}); !errors.Is(err, fault.Internal) {
		t.Error(err)
	}
}
