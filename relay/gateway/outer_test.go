package gateway

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// object is a message whose whole body is said to be a CMS object in base64.
func object(t *testing.T, octets []byte) *message.Message {
	t.Helper()
	return parseMessage(t, "From: a@own.example\nMIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n"+
		"Content-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(octets)+"\n")
}

// TestLastGuard: what does not begin as an encrypted object does not count as one,
// whatever its header says.
func TestLastGuard(t *testing.T) {
	w := newWorld(t)
	signer := w.issue("alice@own.example")
	letter := w.letter(bob)
	opaque := testpki.Must(smime.Sign(letter, signer, smime.SignOptions{Opaque: true, Time: time.Now()}))
	clear := testpki.Must(smime.Sign(letter, signer, smime.SignOptions{Time: time.Now()}))
	to := []*x509.Certificate{w.issue(bob).Certificate}
	long := []byte{0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 40}
	for name, tc := range map[string]struct {
		m                 *message.Message
		encrypted, signed bool
	}{
		"cbc":                {testpki.Must(smime.Encrypt(letter, to, smime.EncryptOptions{Cipher: "aes-256-cbc"})), true, false},
		"gcm":                {testpki.Must(smime.Encrypt(letter, to, smime.EncryptOptions{Cipher: "aes-256-gcm"})), true, false},
		"large":              {testpki.Must(smime.Encrypt(w.large(100_000), to, smime.EncryptOptions{})), true, false},
		"signed":             {clear, false, true},
		"opaque":             {opaque, false, true},
		"plain":              {letter, false, false},
		"text by that name":  {object(t, []byte(text)), false, false},
		"empty":              {object(t, nil), false, false},
		"a SEQUENCE":         {object(t, []byte{0x30}), false, false},
		"cut in the length":  {object(t, long[:4]), false, false},
		"long form":          {object(t, append(long, envelopedData...)), true, false},
		"indefinite":         {object(t, append([]byte{0x30, 0x80}, authEnvelopedData...)), true, false},
		"other type":         {object(t, append([]byte{0x30, 0x0B, 0x06, 0x09}, "123456789"...)), false, false},
		"encrypted, unnamed": {parseMessage(t, "From: a@own.example\n\n"+base64.StdEncoding.EncodeToString(append(long, envelopedData...))), false, false},
	} {
		if got := leavesEncrypted(tc.m); got != tc.encrypted {
			t.Errorf("%s: encrypted %t", name, got)
		}
		if got := leavesSigned(tc.m); got != tc.signed {
			t.Errorf("%s: signed %t", name, got)
		}
	}
}

// What the engine returns in place of an encrypted message does not leave, though its
// header says that it is one.
func TestFalseCopyNeverLeaves(t *testing.T) {
	for name, body := range map[string]string{"text": text, "nothing": ""} {
		w := newWorld(t)
		w.gateway.encrypt = func(*message.Message, []*x509.Certificate, smime.EncryptOptions) (*message.Message, error) {
			return object(t, []byte(body)), nil
		}
		w.gateway.encryptDraft = func(*message.Draft, []*x509.Certificate, smime.EncryptOptions) (*message.Message, error) {
			return object(t, []byte(body)), nil
		}
		if o, err := w.send(bob); err == nil || relay.ReplyFor(err).Code != 451 {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
}

// large is a letter with n octets of text.
func (w *world) large(n int) *message.Message {
	return parseMessage(w.t, "From: Alice <alice@own.example>\nTo: Bob <"+bob+">\nMIME-Version: 1.0\nContent-Type: text/plain\n\n"+strings.Repeat(strings.Repeat("x", 63)+"\n", n/64))
}

// TestDecodedOnce: an inbound message that is encrypted is decoded once, whether it can
// be decrypted or not. Another copy would be three quarters of its size.
func TestDecodedOnce(t *testing.T) {
	const size = 4 << 20
	w := newWorld(t)
	own := testpki.Must(w.keys.Signing(t.Context(), w.addr("alice@own.example"))).Certificate
	for name, tc := range map[string]struct {
		to    *x509.Certificate
		times float64 // how many octets are allocated for each that came
	}{
		"for us":     {own, 2.6},
		"for others": {w.issue(bob).Certificate, 2.1},
	} {
		m := testpki.Must(smime.Encrypt(w.large(size), []*x509.Certificate{tc.to}, smime.EncryptOptions{}))
		env := w.envelope("in", bob, "alice@own.example")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		o, err := w.gateway.outcome(context.Background(), env, m)
		runtime.ReadMemStats(&after)
		if err != nil || len(o.Deliveries) != 1 {
			t.Fatalf("%s: %+v, %v", name, o, err)
		}
		if got := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(m.Bytes())); got > tc.times {
			t.Errorf("%s: %.2f octets were allocated for each of the message, want at most %.1f", name, got, tc.times)
		}
	}
}

// TestTreatment: what is counted is how a copy leaves, known without looking at it.
func TestTreatment(t *testing.T) {
	sign, encrypt := &enforce.Sign{}, &enforce.Encrypt{}
	for _, tc := range []struct {
		kind       smime.Kind
		copy       enforce.Copy
		withFooter bool
		want       string
	}{
		{want: "clear"},
		{copy: enforce.Copy{Sign: sign}, want: "signed"},
		{copy: enforce.Copy{Encrypt: encrypt}, want: "encrypted"},
		{copy: enforce.Copy{Sign: sign, Encrypt: encrypt}, want: "signed, encrypted"},
		{kind: smime.Kind{Signed: true}, want: "signed"},
		{kind: smime.Kind{Signed: true}, withFooter: true, want: "clear"},
		{kind: smime.Kind{Encrypted: true}, want: "encrypted"},
		{kind: smime.Kind{Encrypted: true}, copy: enforce.Copy{Sign: sign}, want: "signed, encrypted"},
	} {
		p := renderer{e: &evidence{kind: tc.kind}}
		if got := p.treatment(tc.copy, tc.withFooter).Protection; got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}
