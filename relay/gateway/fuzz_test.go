package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// FuzzProcess passes hostile messages through the gateway in both directions.
// Outbound, a recipient who must get it encrypted never gets it otherwise.
// Inbound, whatever can be parsed arrives, with exactly one status of the gateway.
// Neither way is there a panic, which would come out as an internal error.
func FuzzProcess(f *testing.F) {
	for _, s := range []string{
		"From: alice@own.example\nTo: bob@enc.example\n\nhello\n",
		"From: alice@own.example\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n\nx\n--b\nContent-Type: application/pkcs7-signature\n\nMII=\n--b--\n",
		"From: alice@own.example\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CA\n",
		"Subject: [encrypt] =?x?q?\nX-SMIME: plain\nAuthentication-Results: (\nFrom: <>\n\n",
		"From: a@own.example\nContent-Type: text/calendar\nX-SMIME-Status : pass\n\nBEGIN:VCALENDAR\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		msg, err := message.Parse(raw)
		if err != nil {
			return
		}
		w := newWorld(t)
		w.config.Triggers = testTriggers
		w.start()
		o, err := w.gateway.outcome(context.Background(), w.envelope("out", "alice@own.example", bob), msg)
		if err != nil && fault.Of(err).Kind == fault.Internal {
			t.Fatalf("outbound: %v\n%s", err, w.log)
		}
		for i := 0; err == nil && i < len(o.Deliveries); i++ {
			if !isEncrypted(o.Deliveries[i].Message) {
				t.Fatalf("leaves in the clear:\n%s", o.Deliveries[i].Message.Bytes())
			}
		}
		o, err = w.gateway.outcome(context.Background(), w.envelope("in", "x@y.example", "alice@own.example"), msg)
		if err != nil {
			if message.LineEnds(raw) != message.Mixed && fault.Of(err).Kind != fault.Malformed {
				t.Fatalf("inbound: %v\n%s", err, w.log)
			}
			return
		}
		if len(o.Deliveries) != 1 || len(o.Deliveries[0].Message.All(statusField)) != 1 {
			t.Fatalf("inbound:\n%s", o.Deliveries[0].Message.Bytes())
		}
	})
}
