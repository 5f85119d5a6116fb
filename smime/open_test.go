package smime

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// replace changes one place in a message.
func replace(t testing.TB, m *message.Message, old, with string) *message.Message {
	t.Helper()
	if bytes.Count(m.Bytes(), []byte(old)) != 1 {
		t.Fatalf("%q is not there once in %q", old, m.Bytes())
	}
	return parse(t, strings.Replace(string(m.Bytes()), old, with, 1))
}

func expect(t testing.TB, o *Opened, result certs.Result, reason certs.Reason) {
	t.Helper()
	if o.Report.Result != result || o.Report.Reason != reason {
		t.Errorf("result %q, reason %q; want %q, %q: %+v", o.Report.Result, o.Report.Reason, result, reason, o.Report)
	}
}

const text = "Content-Type: text/plain\n\nmeet at ten\n"

func TestTampered(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{})
	expect(t, w.open(replace(t, signed, "at ten", "at six")), certs.Fail, "content-changed")
	expect(t, w.open(replace(t, signed, "Content-Type: text/plain", "Content-Type: text/plaim")), certs.Fail, "content-changed")
	opaque := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: true})
	object, err := opaque.Root().Decode()
	if err != nil {
		t.Fatal(err)
	}
	object = bytes.Replace(object, []byte("at ten"), []byte("at six"), 1)
	forged, err := opaque.Apply(message.Change{Entity: &message.Entity{
		Fields: contentFields(opaque), Body: []message.Piece{message.Base64(message.Octets(object))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, w.open(forged), certs.Fail, "content-changed")
}

// The signer must be the author that a reader sees.
func TestAuthor(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{})
	const from = "From: Alice <alice@example.org>\r\n"
	for name, tt := range map[string]struct {
		header string
		result certs.Result
		reason certs.Reason
	}{
		"same":                    {from, certs.Pass, ""},
		"case":                    {"From: ALICE@Example.ORG\r\n", certs.Pass, ""},
		"other":                   {"From: mallory@example.net\r\n", certs.Fail, "wrong-address"},
		"none":                    {"", certs.Fail, "unclear-author"},
		"two fields":              {from + "From: mallory@example.net\r\n", certs.Fail, "unclear-author"},
		"two fields, other first": {"From: mallory@example.net\r\n" + from, certs.Fail, "unclear-author"},
		"name shows another":      {"From: \"mallory@example.net\" <alice@example.org>\r\n", certs.Pass, ""},
		"unreadable":              {"From: mallory@example.net <alice@example.org>\r\n", certs.Fail, "unclear-author"},
		"encoded":                 {"From: =?utf-8?q?alice=40example.org=00?=@example.net\r\n", certs.Fail, "unclear-author"},
		"twice":                   {"From: alice@example.org, Alice <alice@EXAMPLE.org>\r\n", certs.Pass, ""},
		"two, no sender":          {"From: alice@example.org, bob@example.org\r\n", certs.Fail, "unclear-author"},
		"two, sender":             {"From: bob@example.org, alice@example.org\r\nSender: alice@example.org\r\n", certs.Pass, ""},
		"two, other sender":       {"From: bob@example.org, alice@example.org\r\nSender: bob@example.org\r\n", certs.Fail, "wrong-address"},
		"two, stranger sender":    {"From: bob@example.org, carol@example.org\r\nSender: alice@example.org\r\n", certs.Fail, "unclear-author"},
		"one, sender":             {"From: mallory@example.net\r\nSender: alice@example.org\r\n", certs.Fail, "wrong-address"},
		"two senders": {"From: bob@example.org, alice@example.org\r\nSender: alice@example.org\r\n" +
			"Sender: bob@example.org\r\n", certs.Fail, "unclear-author"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, w.open(replace(t, signed, from, tt.header)), tt.result, tt.reason) })
	}
}

func TestChain(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{})
	expect(t, other.open(signed), certs.Fail, "untrusted")
	expect(t, Open(context.Background(), signed, OpenOptions{}), certs.Neutral, "chain-unchecked")
	expect(t, Open(context.Background(), signed, OpenOptions{Checker: down{}}), certs.TempError, "revocation-unknown")
}

// down is a checker that cannot tell.
type down struct{ certs.Checker }

func (down) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	return certs.Verdict{Result: certs.TempError, Reason: certs.RevocationUnknown, ChainState: "trusted", Revocation: "unknown"}
}

// A signature or a ciphertext among other parts is never the message's.
func TestPartOnly(t *testing.T) {
	w := newWorld(t)
	inMixed := func(m *message.Message, before, after string) *message.Message {
		body := "--list\r\n" + before + string(message.WriteHeader(contentFields(m))) + string(m.Body()) + after + "\r\n--list--\r\n"
		changed, err := m.Apply(message.Change{Entity: &message.Entity{
			Fields: []message.Field{message.RawField("Content-Type", "multipart/mixed; boundary=list")},
			Body:   []message.Piece{message.Text(body)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	const note = "\r\n--list\r\n\r\nlist footer"
	clear := w.sign(t, mail(t, text), w.alice, SignOptions{})
	opaque := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: true})
	secret := encrypt(t, clear, EncryptOptions{}, w.bob)
	for name, m := range map[string]*message.Message{"clear": clear, "opaque": opaque} {
		expect(t, w.open(inMixed(m, "", note)), certs.Neutral, "partial-signature")
		expect(t, w.open(inMixed(m, "\r\nheader\r\n--list\r\n", "")), certs.Neutral, "partial-signature")
		if o := w.open(inMixed(m, "", "")); o.Report.Result == certs.Pass {
			t.Errorf("%s: passes inside a multipart", name)
		}
	}
	for _, m := range []*message.Message{
		inMixed(secret, "", note),
		inMixed(secret, "", ""),
		inMixed(secret, "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/?\r\n--list\r\n", "\r\n--list\r\nContent-Type: text/html\r\n\r\n\">"),
	} {
		opened := w.open(m, w.bob)
		expect(t, opened, certs.None, "encrypted-part")
		if opened.Decrypted || opened.Message != m {
			t.Error("decrypted a part")
		}
	}
	// Signed by mallory, who joined a ciphertext to parts of his own.
	mallory := w.issue("mallory@example.org", "p256")
	opened := w.open(w.sign(t, inMixed(secret, "", note), mallory, SignOptions{}), w.bob)
	if opened.Decrypted || bytes.Contains(opened.Message.Bytes(), []byte("meet at ten")) {
		t.Error("decrypted a part of signed content")
	}
}

func TestMultipartSignedForm(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{})
	boundary := signed.Root().Params["boundary"]
	third := replace(t, signed, "\r\n--"+boundary+"--", "\r\n--"+boundary+"\r\n\r\nfooter\r\n--"+boundary+"--")
	expect(t, w.open(third), certs.PermError, "malformed")
	first := replace(t, signed, "message.\r\n\r\n--"+boundary, "message.\r\n--"+boundary+"\r\n\r\nheader\r\n--"+boundary)
	expect(t, w.open(first), certs.PermError, "malformed")
	twice := replace(t, signed, "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n")
	expect(t, w.open(twice), certs.PermError, "ambiguous")
	again := replace(t, signed, "\r\n\r\nThis is", "\r\nContent-Type: text/plain\r\n\r\nThis is")
	expect(t, w.open(again), certs.PermError, "ambiguous")
	doubled := replace(t, signed, "micalg=sha-256;", "boundary=x;")
	expect(t, w.open(doubled), certs.PermError, "ambiguous")
	expect(t, w.open(replace(t, signed, "micalg=sha-256; ", "")), certs.Pass, "")
	expect(t, w.open(replace(t, signed, "micalg=sha-256; ", "micalg=unknown; ")), certs.Pass, "")
	expect(t, w.open(replace(t, signed, "protocol=\"application/pkcs7-signature\";", "protocol=\"Application/X-PKCS7-Signature\";")), certs.Pass, "")
	expect(t, w.open(replace(t, signed, "protocol=\"application/pkcs7-signature\";", "")), certs.PermError, "ambiguous")
	pgp := replace(t, signed, "protocol=\"application/pkcs7-signature\";", "protocol=\"application/pgp-signature\";")
	if r := w.open(pgp).Report; r.Result == certs.Pass || len(r.Layers) > 0 {
		t.Errorf("taken for S/MIME: %+v", r)
	}
}

func TestLineFeedInput(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{})
	file := parse(t, strings.ReplaceAll(string(signed.Bytes()), "\r\n", "\n"))
	expect(t, w.open(file), certs.Pass, "line-ends")
	expect(t, w.open(replace(t, file, "at ten", "at six")), certs.Fail, "content-changed")
	secret := encrypt(t, signed, EncryptOptions{}, w.bob)
	opened := w.open(parse(t, strings.ReplaceAll(string(secret.Bytes()), "\r\n", "\n")), w.bob)
	expect(t, opened, certs.Pass, "")
	if opened.Message.LineEnd() != message.CRLF {
		t.Error("the message to deliver has LF line ends")
	}
}

// The type of the object counts, not what the header says of it.
func TestTypesByObject(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: true})
	secret := encrypt(t, signed, EncryptOptions{Cipher: "aes-128-gcm"}, w.bob)
	for _, typ := range []string{
		"application/pkcs7-mime", "application/x-pkcs7-mime; smime-type=certs-only", "APPLICATION/PKCS7-MIME; SMIME-TYPE=nonsense",
		"application/octet-stream; name=\"a.P7M\"", "application/octet-stream; name*=utf-8''smime%2Ep7m",
		"application/octet-stream; name=smime.p7s", "application/x-pkcs7-signature; name=smime.p7m",
	} {
		for _, m := range []*message.Message{signed, secret} {
			changed, err := m.Apply(message.Change{Entity: &message.Entity{
				Fields: []message.Field{message.RawField("Content-Type", typ), message.RawField("Content-Transfer-Encoding", "base64")},
				Body:   []message.Piece{message.Text(m.Body())},
			}})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, w.open(changed, w.bob), certs.Pass, "")
			if k := Inspect(changed); k.Signed == k.Encrypted || k.Encrypted != (m == secret) {
				t.Errorf("%s: kind %+v", typ, k)
			}
		}
	}
	plain := mail(t, "Content-Type: application/octet-stream; name=x.p7m\nContent-Transfer-Encoding: base64\n\nAAAA\n")
	expect(t, w.open(plain), certs.None, "")
	broken := mail(t, "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nAAAA\n")
	expect(t, w.open(broken), certs.PermError, "malformed")
}

func TestLayersLimit(t *testing.T) {
	w := newWorld(t)
	m := mail(t, text)
	for range 6 {
		m = encrypt(t, m, EncryptOptions{}, w.bob)
	}
	opened := w.open(m, w.bob)
	expect(t, opened, certs.None, "")
	if !opened.Decrypted || len(opened.Report.Layers) != 6 || !bytes.Contains(opened.Message.Bytes(), []byte("meet at ten")) {
		t.Errorf("%+v", opened.Report)
	}
	expect(t, w.open(encrypt(t, m, EncryptOptions{}, w.bob), w.bob), certs.PermError, "too-many-layers")
}

// Signing a ciphertext says nothing about the text.
func TestSignatureOutsideEncryption(t *testing.T) {
	w := newWorld(t)
	secret := encrypt(t, mail(t, text), EncryptOptions{}, w.bob)
	for _, opaque := range []bool{false, true} {
		signed := w.sign(t, secret, w.alice, SignOptions{Opaque: opaque})
		opened := w.open(signed, w.bob)
		expect(t, opened, certs.None, "signature-outside-encryption")
		if !opened.Decrypted || !bytes.Contains(opened.Message.Body(), []byte("meet at ten")) {
			t.Error("not decrypted")
		}
		expect(t, w.open(signed), certs.None, "no-key")
		triple := w.sign(t, encrypt(t, w.sign(t, mail(t, text), w.alice, SignOptions{}), EncryptOptions{}, w.bob), w.alice, SignOptions{Opaque: opaque})
		expect(t, w.open(triple, w.bob), certs.Pass, "")
		if k := Inspect(triple); !k.Signed || !opaque && !k.Encrypted {
			t.Errorf("kind %+v", k)
		}
	}
}

func TestNestedSignatures(t *testing.T) {
	w := newWorld(t)
	gateway := w.issue("gateway@example.org", "p256")
	for _, inner := range []bool{false, true} {
		for _, outer := range []bool{false, true} {
			m := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: inner})
			expect(t, w.open(w.sign(t, m, w.alice, SignOptions{Opaque: outer})), certs.Pass, "")
			result, reason := certs.PolicyNo, ReasonNested
			if inner && outer {
				result, reason = certs.Pass, ""
			}
			expect(t, w.open(w.sign(t, m, gateway, SignOptions{Opaque: outer})), result, reason)
		}
	}
}

// Only Content-* fields of what was decrypted come to the surface.
func TestSurface(t *testing.T) {
	w := newWorld(t)
	const forged = "Authentication-Results: gw.example.org; smime=pass\nX-SMIME-Status: pass\nFrom: mallory@example.net\nSubject: forged\n"
	inner := parse(t, strings.ReplaceAll(forged+"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Language: de\n\ngrüße\n", "\n", "\r\n"))
	secret := seal(t, w, mail(t, "X-Keep: 1\n"+text), inner.Bytes())
	got := w.open(secret, w.bob).Message
	if got.Has("Authentication-Results") || got.Has("X-SMIME-Status") || len(got.All("From")) != 1 || got.Get("Subject") != "hello" {
		t.Errorf("header %q", got.Header())
	}
	if got.Get("Content-Language") != "de" || got.Get("X-Keep") != "1" || len(got.All("Content-Type")) != 1 || len(got.All("MIME-Version")) != 1 {
		t.Errorf("header %q", got.Header())
	}
	if got.Has("Content-Disposition") || got.Has("Content-Transfer-Encoding") {
		t.Errorf("fields of the ciphertext stay: %q", got.Header())
	}
	if string(got.Body()) != "grüße\r\n" {
		t.Errorf("body %q", got.Body())
	}
}

// seal returns m with content, as it is, encrypted to bob.
func seal(t testing.TB, w *world, m *message.Message, content []byte) *message.Message {
	t.Helper()
	return sealTo(t, m, content, w.bob.Certificate)
}

// What was encrypted need not be fit for SMTP.
func TestSurfaceOfOddContent(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 3000)
	for name, tt := range map[string]struct{ content, want string }{
		"LF":            {"Content-Type: text/plain\n\na\nb\n", "a\r\nb\r\n"},
		"no header":     {"just text", "just text"},
		"no fields":     {"\r\ntext\r\n", "text\r\n"},
		"8-bit, none":   {"gr\xc3\xbc\xc3\x9fe", "gr\xc3\xbc\xc3\x9fe"},
		"empty":         {"", ""},
		"long line":     {"Content-Type: text/plain\r\n\r\n" + long + "\r\n", long + "\r\n"},
		"bare CR":       {"Content-Type: text/plain\r\n\r\na\rb\r\n", "a\rb\r\n"},
		"dot":           {"Content-Type: text/plain\r\n\r\n.\r\nMAIL FROM:<>\r\n", ".\r\nMAIL FROM:<>\r\n"},
		"smuggled":      {"Content-Type: text/plain\n\na\n.\nMAIL FROM:<>\n", "a\r\n.\r\nMAIL FROM:<>\r\n"},
		"binary":        {"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\r\x01\xff", "\x00\r\x01\xff"},
		"not an entity": {"From mox\n: x\n\nbody", "From mox\r\n: x\r\n\r\nbody"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := w.open(seal(t, w, mail(t, text), []byte(tt.content)), w.bob)
			if !opened.Decrypted {
				t.Fatalf("%+v", opened.Report)
			}
			got := opened.Message
			if !scanText(got.Body()).fits(maxSMTPLine) {
				t.Errorf("cannot travel: %q", got.Body())
			}
			data, err := got.Root().Decode()
			if err != nil || string(data) != tt.want {
				t.Errorf("%q, %v; want %q", data, err, tt.want)
			}
		})
	}
}

func TestNotDecrypted(t *testing.T) {
	w := newWorld(t)
	secret := encrypt(t, mail(t, text), EncryptOptions{}, w.bob)
	for name, tt := range map[string]struct {
		o      OpenOptions
		result certs.Result
		reason certs.Reason
	}{
		"no keys":   {OpenOptions{}, certs.None, "no-key"},
		"other key": {w.options(w.alice), certs.None, "no-key"},
		"store":     {OpenOptions{Keys: brokenKeys{}}, certs.TempError, "key-store"},
		"wrong key": {OpenOptions{Keys: wrongKeys{w.issue("x@example.org", "p256")}}, certs.PermError, "not-decryptable"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := Open(context.Background(), secret, tt.o)
			expect(t, opened, tt.result, tt.reason)
			if opened.Decrypted || opened.Message != secret || opened.Report.Encryption == nil || opened.Report.Encryption.Recipients != 1 {
				t.Errorf("%+v", opened.Report)
			}
		})
	}
}

type brokenKeys struct{ certs.Keys }

func (brokenKeys) Decryption(context.Context, cms.ID) ([]*certs.Identity, error) {
	return nil, errors.New("token removed")
}

type wrongKeys struct{ id *certs.Identity }

func (wrongKeys) Signing(context.Context, address.Address) (*certs.Identity, error) { return nil, nil }

func (k wrongKeys) Decryption(context.Context, cms.ID) ([]*certs.Identity, error) {
	return []*certs.Identity{k.id}, nil
}

// A signature cannot be made by an identity that only decrypts.
func TestCannotSign(t *testing.T) {
	w := newWorld(t)
	id := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"a@example.org"}, Key: "x25519"})))
	if _, err := Sign(mail(t, text), id, SignOptions{}); kindOf(err) != "identity" {
		t.Errorf("%v", err)
	}
	if _, err := Sign(mail(t, text), w.alice, SignOptions{Digest: crypto.MD5}); err == nil {
		t.Error("signs with MD5")
	}
	twice := mail(t, "Content-Type: text/plain\n"+text)
	if _, err := Sign(twice, w.alice, SignOptions{}); kindOf(err) != "malformed" {
		t.Errorf("%v", err)
	}
	if _, err := Encrypt(twice, nil, EncryptOptions{}); kindOf(err) != "malformed" {
		t.Errorf("%v", err)
	}
	if _, err := Encrypt(mail(t, text), nil, EncryptOptions{}); err == nil {
		t.Error("encrypts without a recipient")
	}
}

// Only what really is encrypted counts as encrypted.
func TestInspectBelievesNoHeader(t *testing.T) {
	w := newWorld(t)
	secret := encrypt(t, mail(t, text), EncryptOptions{}, w.bob)
	if k := Inspect(secret); !k.Encrypted || k.Signed || k.Defect != "" {
		t.Errorf("%+v", k)
	}
	head := "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
	for name, m := range map[string]*message.Message{
		"text":      mail(t, strings.ReplaceAll(head, "base64", "7bit")+"the plan\n"),
		"base64":    mail(t, head+"dGhlIHBsYW4K\n"),
		"sequence":  mail(t, head+"MAA=\n"),
		"oid only":  mail(t, head+"MA8GCSqGSIb3DQEHA6ACMAA=\n"),
		"appended":  parse(t, string(secret.Bytes())+"the plan\r\n"),
		"two types": replace(t, secret, "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"),
	} {
		if k := Inspect(m); k.Encrypted || k.Signed || k.Defect == "" {
			t.Errorf("%s: %+v", name, k)
		}
	}
	signed := w.sign(t, secret, w.alice, SignOptions{})
	if k := Inspect(signed); !k.Encrypted || !k.Signed {
		t.Errorf("%+v", k)
	}
	leaking := replace(t, signed, "This is an S/MIME signed message.", strings.Repeat("the plan ", 20))
	if k := Inspect(leaking); k.Encrypted {
		t.Errorf("text beside the signed part: %+v", k)
	}
	// The second part is a signature, and nothing but that.
	opaque := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: true})
	_, entity, _ := strings.Cut(string(secret.Bytes()), "MIME-Version: 1.0\r\n")
	for name, second := range map[string]string{
		"text":                    "Content-Type: text/plain\r\n\r\nthe plan",
		"text under a false name": "Content-Type: application/pkcs7-signature\r\n\r\nthe plan",
		"text that it signs":      "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n" + string(opaque.Body()),
	} {
		m := parse(t, "From: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n--b\r\n"+
			entity+"\r\n--b\r\n"+second+"\r\n--b--\r\n")
		if k := Inspect(m); k.Encrypted || k.Doubt == "" || k.Defect != "" {
			t.Errorf("%s as a signature: %+v", name, k)
		}
	}
	if k := Inspect(mail(t, text)); k.Signed || k.Encrypted || k.Defect != "" || k.Doubt != "" {
		t.Errorf("%+v", k)
	}
}
