package enrolment

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

// norah waits for a certificate by ACME, others do not.
const (
	norah  = "norah@corp.example"
	others = "others@corp.example"
)

// signed are the fields that a DKIM signature must cover where a message has them.
const signed = "from:sender:reply-to:to:cc:subject:date:in-reply-to:references:message-id:auto-submitted:content-type:content-transfer-encoding"

// dkim signs a message as RFC 6376 and 8463 have it, with canonicalization simple/simple: with further tags,
// and over the named fields.
func (c *caMail) dkim(raw []byte, domain, tags, fields string) []byte {
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	hash := sha256.Sum256(body)
	value := fmt.Sprintf("DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d=%s; s=s;%s h=%s; bh=%s; b=",
		domain, tags, fields, base64.StdEncoding.EncodeToString(hash[:]))
	var data strings.Builder
	for name := range strings.SplitSeq(fields, ":") {
		lines := strings.Split(string(header), "\r\n")
		slices.Reverse(lines) // the last field of a name is the first that counts
		if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.ToLower(l), name+":") }); i >= 0 {
			data.WriteString(lines[i] + "\r\n")
		}
	}
	data.WriteString(value)
	sum := sha256.Sum256([]byte(data.String()))
	return append([]byte(value+base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, sum[:]))+"\r\n"), raw...)
}

// caMail is an ACME server whose message a test signs and sends, after it forged it.
type caMail struct {
	acmetest.Message
	key      ed25519.PrivateKey
	stranger *certs.Identity // of an authority that is not trusted
	n        int
}

// fresh is the message of the CA with another Message-ID, and edits.
func (c *caMail) fresh(edits ...string) []byte {
	c.n++
	return c.Bytes(append([]string{fmt.Sprintf("Message-ID: <%d@forged.example>", c.n)}, edits...)...)
}

// good is what the CA would send, but for edits.
func (c *caMail) good(edits ...string) []byte {
	return c.dkim(c.fresh(edits...), "ca.example", "", signed)
}

// TestForgedChallenges: nothing but the message of the CA is answered, and all else is delivered as any mail.
func TestForgedChallenges(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`s._domainkey IN TXT "v=DKIM1; k=ed25519; p=%s"`, base64.StdEncoding.EncodeToString(public))
	resolver := dnstest.Start(t, dnstest.Zone{Name: "ca.example", Records: []string{record}, Unsigned: true},
		dnstest.Zone{Name: "evil.example", Records: []string{record}, Unsigned: true}).Careless
	server, mails := acmetest.New(t), make(chan acmetest.Message, 1)
	server.Mail = func(m acmetest.Message) { mails <- m }
	lines := fmt.Sprintf("url = %q\nca = %q\nauthserv_id = [\"mx.corp.example\"]", server.URL, server.TrustFile)
	h := open(t, fmt.Sprintf("\n[dns]\nresolvers = [%q]\n", resolver)+table("public", "acme", norah, lines)+issuing)
	if reply, _ := h.sends(t, norah); reply.Code != 451 {
		t.Fatalf("without a certificate: %v", reply)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	c := &caMail{key: key, stranger: (*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{server.From}})))}
	select {
	case c.Message = <-mails:
	case <-ctx.Done():
		t.Fatal("the CA sent no message")
	}

	for name, raw := range c.forged(t) {
		h.deliversForged(t, name, "bounces@ca.example", norah, raw)
	}
	h.deliversForged(t, "no order", "bounces@ca.example", others, c.good("To: "+others))
	h.deliversForged(t, "another recipient", "bounces@ca.example", others, c.good())
	raw := c.good("From: "+norah, "To: "+server.From) // by a user, to the CA
	if reply := h.transact(t, rig.Insider, norah, server.From, raw); !reply.Positive() {
		t.Errorf("outbound: %v", reply)
	}
	h.sink.Wait(t, "the message of the user", func(d rig.Delivery) bool { return slices.Contains(d.To, server.From) && d.From == norah })

	genuine := c.good("Message-ID: <" + c.Token + "@ca.example>")
	if reply := h.transact(t, rig.Stranger, "bounces@ca.example", norah, genuine); !reply.Positive() {
		t.Fatal(reply)
	}
	answer := h.sink.Wait(t, "the answer", func(d rig.Delivery) bool { return bytes.Contains(d.Data, []byte("ACME RESPONSE")) })
	if err := server.Reply(answer.Data); err != nil {
		t.Fatal(err)
	}
	h.deliversForged(t, "the same again", "bounces@ca.example", norah, genuine)
	h.restart(t)
	h.WaitLog(t, `msg="identity issued" address=`+norah, 1)
	n := 0
	for _, d := range h.sink.All() {
		if bytes.Contains(d.Data, []byte("ACME RESPONSE")) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d answers", n)
	}
	if issuer := h.signer(t, norah).Issuer.CommonName; issuer != "ACME CA" {
		t.Errorf("issued by %q", issuer)
	}
}

// deliversForged wants a message to arrive at its recipient.
func (h *house) deliversForged(t *testing.T, name, from, to string, raw []byte) {
	t.Helper()
	before := h.sink.Count(to)
	if reply := h.transact(t, rig.Stranger, from, to, raw); !reply.Positive() {
		t.Errorf("%s: %v", name, reply)
		return
	}
	h.sink.WaitCount(t, name, to, before+1)
}

// forged are messages that must not be answered, by what is wrong with them.
func (c *caMail) forged(t *testing.T) map[string][]byte {
	t.Helper()
	const results = "Authentication-Results: mx.corp.example; dkim=pass header.d=ca.example\r\n"
	past := time.Now().Add(-time.Hour).Unix()
	outer := func(inner []byte) []byte {
		raw := c.fresh("Subject: Fwd: a message", "Content-Type: message/rfc822")
		return append(raw[:bytes.Index(raw, []byte("\r\n\r\n"))+4], inner...)
	}
	by := func(raw []byte) []byte {
		m, err := smime.Sign(testpki.Must(message.Parse(raw)), c.stranger, smime.SignOptions{Time: time.Now(), Headers: smime.HeadersClear})
		if err != nil {
			t.Fatal(err)
		}
		return m.Bytes()
	}
	without := func(name string) string { return strings.Replace(signed, ":"+name, "", 1) }
	return map[string][]byte{
		"not signed":                        c.fresh(),
		"DKIM of another text":              bytes.Replace(c.good(), []byte("for a program"), []byte("for a Program"), 1),
		"DKIM of another domain":            c.dkim(c.fresh(), "evil.example", "", signed),
		"DKIM of a domain above":            c.dkim(c.fresh(), "example", "", signed),
		"a DKIM signature of a part":        c.dkim(c.fresh(), "ca.example", " l=4;", signed),
		"an expired DKIM signature":         c.dkim(c.fresh(), "ca.example", fmt.Sprintf(" t=%d; x=%d;", past-60, past), signed),
		"the subject not signed":            c.dkim(c.fresh(), "ca.example", "", without("subject")),
		"Auto-Submitted not signed":         c.dkim(c.fresh(), "ca.example", "", without("auto-submitted")),
		"Reply-To not signed":               append([]byte("Reply-To: mallory@evil.example\r\n"), c.dkim(c.fresh(), "ca.example", "", without("reply-to"))...),
		"a second From":                     append([]byte("From: mallory@evil.example\r\n"), c.good()...),
		"two authors":                       c.good("From: " + c.From + ", mallory@evil.example"),
		"another author":                    c.good("From: other@ca.example"),
		"to another":                        c.good("To: " + others),
		"to two":                            c.good("To: " + norah + ", " + others),
		"no Auto-Submitted":                 c.good("Auto-Submitted:"),
		"Auto-Submitted: no":                c.good("Auto-Submitted: no"),
		"an automatic reply":                c.good("Auto-Submitted: auto-replied; type=acme"),
		"of another type":                   c.good("Auto-Submitted: auto-generated; type=other"),
		"a short token":                     c.good("Subject: ACME: " + c.Token[:21]),
		"no token":                          c.good("Subject: ACME:"),
		"not a token":                       c.good("Subject: ACME: " + c.Token + "!"),
		"a reply":                           c.good("Subject: Re: ACME: " + c.Token),
		"inside of another message":         outer(c.good()),
		"inside of another, which is good":  c.dkim(outer(c.good()), "ca.example", "", signed),
		"S/MIME of a stranger":              by(c.fresh()),
		"results of a server, and nothing":  append([]byte(results), c.fresh()...),
		"results, and l=":                   append([]byte(results), c.dkim(c.fresh(), "ca.example", " l=4;", signed)...),
		"results, and a field not signed":   append([]byte(results), c.dkim(c.fresh(), "ca.example", "", without("date"))...),
		"results of a server not trusted":   append([]byte(strings.Replace(results, "mx.", "mx2.", 1)), bytes.Replace(c.good(), []byte("for a program"), []byte("x"), 1)...),
		"results of another domain":         append([]byte(strings.Replace(results, "ca.example", "evil.example", 1)), c.dkim(c.fresh(), "evil.example", "", signed)...),
		"a Reply-To that was put in before": append([]byte("Reply-To: mallory@evil.example\r\n"), c.good()...),
	}
}
