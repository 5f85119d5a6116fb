package gateway

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// What is decompressed counts as mail in work: without memory for it the message
// waits with its client.
func TestCompressedMailNeedsMemory(t *testing.T) {
	w := newWorld(t)
	msg := compressedMessage(t)
	ctx := relay.WithMemory(context.Background(), reserver(func(int64) bool { return false }))
	if _, err := w.gateway.outcome(ctx, w.envelope("in", "eve@far.example", "alice@own.example"), msg); err == nil || relay.ReplyFor(err).Code != 452 {
		t.Errorf("%v", err)
	}
	asked := int64(0)
	ctx = relay.WithMemory(context.Background(), reserver(func(n int64) bool { asked += n; return true }))
	if _, err := w.gateway.outcome(ctx, w.envelope("in", "eve@far.example", "alice@own.example"), msg); err != nil || asked == 0 {
		t.Errorf("%v, asked for %d octets", err, asked)
	}
}

// The rules look into what anybody can read, at every depth: that counts as well,
// and a message for which there is no memory leaves by no rule.
func TestCompressedAttachmentsNeedMemory(t *testing.T) {
	w := newWorld(t)
	w.asksForAttachments()
	w.gateway.Profiles = map[string]Profile{enforce.DefaultProfile: {MinimumDigest: "sha-256"}} // so that inbound mail is asked about
	msg := mustMessage(t, []byte("From: alice@own.example\r\nTo: "+bob+"\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"+compressedEntity(t)+"\r\n--b--\r\n"))
	for listener, to := range map[string]string{"out": bob, "in": "alice@own.example"} {
		asked := int64(0)
		ctx := relay.WithMemory(context.Background(), reserver(func(n int64) bool { asked += n; return true }))
		if _, err := w.gateway.outcome(ctx, w.envelope(listener, "alice@own.example", to), msg); err != nil || asked == 0 {
			t.Errorf("by %q: %v, asked for %d octets", listener, err, asked)
		}
	}
	ctx := relay.WithMemory(context.Background(), reserver(func(int64) bool { return false }))
	if _, err := w.gateway.outcome(ctx, w.envelope("out", "alice@own.example", bob), msg); err == nil || relay.ReplyFor(err).Code != 452 {
		t.Errorf("without memory: %v", err)
	}
}

// Nothing looks into parts where no rule has a condition on them.
func TestAttachmentsAreLookedAtForRules(t *testing.T) {
	w := newWorld(t)
	msg := mustMessage(t, []byte("From: alice@own.example\r\nTo: "+bob+"\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--b--\r\n"))
	found := func() int {
		kind := smime.Inspect(msg)
		c, err := w.gateway.content(context.Background(), w.envelope("out", "alice@own.example", bob), enforce.Outbound, msg, &kind)
		if err != nil {
			t.Fatal(err)
		}
		return len(c.Attachments)
	}
	if n := found(); n != 0 {
		t.Errorf("%d attachments that no rule asks for", n)
	}
	w.asksForAttachments()
	if found() == 0 {
		t.Error("a rule asks for attachments, and none was found")
	}
	w.rules(enforce.Rule{Name: enforce.DefaultRule, Sign: "never", Encrypt: "never"})
	policy, err := enforce.CompileInbound([]enforce.InboundRule{
		{Name: "files", ExceptAttachment: []string{"*.exe"}, OnResult: "quarantine"}, {Name: enforce.DefaultRule},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.config.InboundPolicy = policy
	w.start()
	if found() == 0 {
		t.Error("an inbound rule asks for attachments, and none was found")
	}
}

// asksForAttachments has a rule with a condition on attachments, which matches none.
func (w *world) asksForAttachments() {
	w.rules(enforce.Rule{Name: "files", Attachment: []string{"*.none"}, Sign: "never", Encrypt: "require"},
		enforce.Rule{Name: enforce.DefaultRule, Sign: "require", Encrypt: "prefer"})
}

// What is compressed inside of the signature of its author is counted as well.
func TestSignedCompressedMailNeedsMemory(t *testing.T) {
	w := newWorld(t)
	w.asksForAttachments()
	msg := w.signedBy(w.issue("alice@own.example"), strings.ReplaceAll(compressedEntity(t), "\r\n", "\n"), smime.SignOptions{})
	first := true
	ctx := relay.WithMemory(context.Background(), reserver(func(int64) bool { was := first; first = false; return was }))
	if _, err := w.gateway.outcome(ctx, w.envelope("out", "alice@own.example", bob), msg); err == nil || relay.ReplyFor(err).Code != 452 {
		t.Errorf("without memory for the second look: %v", err)
	}
}

// A message whose encrypted content can never be decompressed is delivered compressed: a
// refusal would tell the sender what was encrypted.
func TestTooLargeInsideOfEncryptionIsNotToldOf(t *testing.T) {
	w := newWorld(t)
	share := relay.NewMemory(64 << 10).Share()
	defer share.Release()
	msg := w.toAlice(compressedMessage(t))
	o, err := w.gateway.outcome(relay.WithMemory(t.Context(), share), w.envelope("in", "bob@enc.example", alice), msg)
	if err != nil || len(o.Deliveries) != 1 {
		t.Fatalf("%v, %v", o, err)
	}
	if got := o.Deliveries[0].Message; isEncrypted(got) || !share.Never() || got.Root().MediaType != "application/pkcs7-mime" || statusWord(got) != "temperror" {
		t.Errorf("never %t:\n%.800s", share.Never(), got.Bytes())
	}
}

// So is one for which memory is short now: that the client is to try again would tell that
// what was encrypted is compressed.
func TestShortOfMemoryInsideOfEncryptionIsNotToldOf(t *testing.T) {
	w := newWorld(t)
	ctx := relay.WithMemory(t.Context(), reserver(func(n int64) bool { return n == 0 }))
	o, err := w.gateway.outcome(ctx, w.envelope("in", "bob@enc.example", alice), w.toAlice(compressedMessage(t)))
	if err != nil || len(o.Deliveries) != 1 {
		t.Fatalf("%v, %v", o, err)
	}
	if got := o.Deliveries[0].Message; isEncrypted(got) || got.Root().MediaType != "application/pkcs7-mime" || statusWord(got) != "temperror" {
		t.Errorf("%.800s", got.Bytes())
	}
}

// compressedEntity is what compressedMessage is besides a message.
func compressedEntity(t *testing.T) string {
	t.Helper()
	_, entity, _ := strings.Cut(string(compressedMessage(t).Bytes()), "\r\n")
	return entity
}

// compressedMessage is a message with CompressedData (RFC 3274 section 1.1), which
// we never send.
func compressedMessage(t *testing.T) *message.Message {
	t.Helper()
	var z bytes.Buffer
	c := zlib.NewWriter(&z)
	if _, err := c.Write([]byte("\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	type content struct {
		Type asn1.ObjectIdentifier
		Data []byte `asn1:"explicit,tag:0"`
	}
	type data struct {
		Version   int
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Content   content
	}
	d := data{Content: content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, z.Bytes()}}
	d.Algorithm.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}
	der, err := asn1.Marshal(struct {
		Type asn1.ObjectIdentifier
		Data data `asn1:"explicit,tag:0"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, d})
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Parse([]byte("From: eve@far.example\r\nContent-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(der) + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reserver is a relay.Reserver of which all may be had later.
type reserver func(int64) bool

func (r reserver) Reserve(octets int64) bool { return r(octets) }

func (r reserver) Never() bool { return false }
