package smime

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// carriable checks that SMTP with 8BITMIME can carry a message.
func carriable(t testing.TB, name string, m *message.Message) {
	t.Helper()
	s := message.ScanLines(m.Bytes())
	if !s.CRLF || s.Longest > maxSMTPLine || bytes.IndexByte(m.Bytes(), 0) >= 0 {
		t.Errorf("%s: SMTP does not carry %.300q", name, m.Bytes())
	}
	m.Root().Walk(func(p *message.Part) bool {
		if p.Encoding == "binary" && layerOf(p) != clearLayer {
			t.Errorf("%s: a part that says it is binary in %.300q", name, m.Bytes())
		}
		return p.MediaType != typeSigned
	})
}

// What was encrypted need not be fit for mail (RFC 8551 section 3.1.2): whatever
// can be read is delivered readable.
func TestCarried(t *testing.T) {
	w := newWorld(t)
	pdf := "%PDF\r\x00\n\xff\r\n" + strings.Repeat("x", 1200) + "\n"
	long := strings.Repeat("word ", 300)
	for name, tt := range map[string]struct{ entity, want string }{
		"LF header, one line":          {"Content-Type: text/plain\n\nok", "ok"},
		"LF header, empty":             {"Content-Type: text/plain\n\n", ""},
		"LF header, no empty line":     {"Content-Type: text/plain\n", ""},
		"LF header, CRLF body":         {"Content-Type: text/plain\n\nok\r\n", "ok\r\n"},
		"CRLF header, LF body":         {"Content-Type: text/plain\r\n\r\nok\n", "ok\r\n"},
		"CRLF only":                    {"Content-Type: text/plain\r\n\r\n\r\n", "\r\n"},
		"LF only":                      {"Content-Type: text/plain\n\n\n", "\r\n"},
		"no header":                    {"\nok", "ok"},
		"bare CR":                      {"Content-Type: text/plain\r\n\r\na\rb\r\n", "a\rb\r\n"},
		"mixed line ends":              {"Content-Type: text/plain\n\na\r\nb\nc", "a\r\nb\r\nc"},
		"NUL":                          {"Content-Type: text/plain\r\n\r\na\x00b\r\n", "a\x00b\r\n"},
		"long line":                    {"Content-Type: text/plain\n\n" + long + "\n", long + "\r\n"},
		"long line, base64":            {"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 500) + "\n", strings.Repeat("ABC", 500)},
		"long line, qp":                {"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=41", 500) + "\n", strings.Repeat("A", 500) + "\r\n"},
		"8-bit, LF":                    {"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrüße\n", "grüße\r\n"},
		"binary":                       {"Content-Type: application/pdf\nContent-Transfer-Encoding: binary\n\n" + pdf, pdf},
		"binary, only LF in it":        {"Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\n", "a\nb\n"},
		"binary that is text":          {"Content-Type: text/plain\nContent-Transfer-Encoding: binary\n\nok\n", "ok\r\n"},
		"binary that is text, long":    {"Content-Type: text/plain\nContent-Transfer-Encoding: binary\n\n" + long + "\n", long + "\r\n"},
		"binary that needs no change":  {"Content-Type: application/pdf\nContent-Transfer-Encoding: binary\n\n%PDF", "%PDF"},
		"quoted-printable, LF":         {"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\na=\nb\n", "ab\r\n"},
		"a field of a long line":       {"Content-Type: text/plain\nContent-Description: " + long + "\n\nok", "ok"},
		"a field folded with LF alone": {"Content-Type: text/plain;\n charset=us-ascii\n\nok", "ok"},
	} {
		o := w.open(sealTo(t, mail(t, text), []byte(tt.entity), w.alice.Certificate), w.alice)
		if !o.Decrypted || o.Report.Result != certs.None {
			t.Errorf("%s: not delivered decrypted: %+v", name, o.Report)
			continue
		}
		carriable(t, name, o.Message)
		if got := string(decoded(t, o.Message)); got != tt.want {
			t.Errorf("%s: a reader sees %q, want %q", name, got, tt.want)
		}
	}
}

// A field that SMTP does not carry leaves the message as it was: a milter would have to
// refuse it, and tell a stranger what was decrypted.
func TestFieldsThatAreNotCarried(t *testing.T) {
	w := newWorld(t)
	for name, field := range map[string]string{
		"NUL":              "Content-Type: text/plain; x=\"a\x00b\"",
		"NUL elsewhere":    "Content-Description: \x00",
		"a word of a line": "Content-Description: " + strings.Repeat("x", 2000),
	} {
		sealed := sealTo(t, mail(t, text), []byte(field+"\r\n\r\nok\r\n"), w.alice.Certificate)
		o := w.open(sealed, w.alice)
		if o.Decrypted || !bytes.Equal(o.Message.Bytes(), sealed.Bytes()) || o.Report.Result != certs.PermError {
			t.Errorf("%s: %+v, %.300q", name, o.Report, o.Message.Bytes())
		}
	}
}

// Parts are made fit one by one; those that are fit stay.
func TestCarriedParts(t *testing.T) {
	w := newWorld(t)
	signed := string(contentOf(w.sign(t, mail(t, "\nsigned, with a trailing blank \n"), w.alice, SignOptions{})))
	entity := "Content-Type: multipart/mixed; boundary=m\nContent-Transfer-Encoding: binary\n\npreamble\n--m\n" +
		"Content-Type: text/plain\n\nFrom here \n--m\n" +
		"Content-Type: application/zip\nContent-Transfer-Encoding: binary\n\nPK\x00\r\xff\n\n--m\n" +
		"Content-Type: message/rfc822\nContent-Transfer-Encoding: binary\n\nDKIM-Signature: x\nSubject: inner\nContent-Type: image/gif\nContent-Transfer-Encoding: binary\n\nGIF\x00\n--m\n" +
		"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n--m\n" + signed + "\n--m\n\nbare\n--m--\nepilogue\n"
	o := w.open(sealTo(t, mail(t, text), []byte(entity), w.alice.Certificate), w.alice)
	if !o.Decrypted {
		t.Fatalf("not delivered decrypted: %+v", o.Report)
	}
	carriable(t, "parts", o.Message)
	parts := o.Message.Root().Children
	if len(parts) != 6 || len(parts[2].Children) != 1 {
		t.Fatalf("%d parts in %q", len(parts), o.Message.Bytes())
	}
	for i, want := range map[int]string{0: "From here ", 1: "PK\x00\r\xff\n", 3: "Reporting-MTA: dns; x", 5: "bare"} {
		if got, err := parts[i].Decode(); err != nil || string(got) != want {
			t.Errorf("part %d: %q, %v; want %q", i, got, err, want)
		}
	}
	if got, err := parts[2].Children[0].Decode(); err != nil || string(got) != "GIF\x00" {
		t.Errorf("inner message: %q, %v", got, err)
	}
	if string(parts[4].Bytes()) != signed {
		t.Errorf("the signed part is %q, want %q", parts[4].Bytes(), signed)
	}
}

// contentOf returns the MIME entity of a message.
func contentOf(m *message.Message) []byte {
	return append(message.WriteHeader(contentFields(m)), m.Body()...)
}

// clearSigned writes multipart/signed over part with the line ends of the layout
// given; the signature is over what is signed.
func clearSigned(t testing.TB, part, signed, eol string, id *certs.Identity) string {
	t.Helper()
	signer, err := (&SignOptions{}).signer(id)
	if err != nil {
		t.Fatal(err)
	}
	object, err := cms.Sign(cms.SignRequest{Signers: []cms.Signer{signer}, Content: [][]byte{[]byte(signed)}, Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	layout := func(s string) string { return strings.ReplaceAll(s, "\n", eol) }
	return layout("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_b\"\n\n--=_b\n") +
		part + layout("\n--=_b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n") +
		layout(strings.ReplaceAll(string(testpki.Base64(object.Bytes())), "\r\n", "\n")) + layout("--=_b--\n")
}

// What is brought to the surface passes as it did inside, at this gateway and at
// every later reader: nothing that is signed changes.
func TestCarriedSignature(t *testing.T) {
	w := newWorld(t)
	text := "Content-Type: text/plain; charset=utf-8\n\ngrüße\nzwei"
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	binary := "Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n%PDF\r\x00\n\xff"
	long := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 1500)
	for name, tt := range map[string]struct {
		entity string
		opaque bool
	}{
		"clear":                           {clearSigned(t, crlf, crlf, "\r\n", w.alice), false},
		"clear, LF":                       {clearSigned(t, text, crlf, "\n", w.alice), false},
		"clear, LF, signed over LF":       {clearSigned(t, text, text, "\n", w.alice), true},
		"clear, signed over LF in CRLF":   {clearSigned(t, text, text, "\r\n", w.alice), true},
		"clear, binary":                   {clearSigned(t, binary, binary, "\r\n", w.alice), true},
		"clear, binary, LF layout":        {clearSigned(t, binary, binary, "\n", w.alice), true},
		"clear, long line":                {clearSigned(t, long, long, "\r\n", w.alice), true},
		"clear, line of 998":              {clearSigned(t, long[:1024], long[:1024], "\r\n", w.alice), false},
		"clear, in binary":                {"Content-Transfer-Encoding: binary\r\n" + clearSigned(t, crlf, crlf, "\r\n", w.alice), false},
		"opaque, binary":                  {opaqueSigned(t, crlf, "binary", w.alice), true},
		"opaque, no encoding":             {opaqueSigned(t, crlf, "", w.alice), true},
		"opaque, base64":                  {opaqueSigned(t, crlf, "base64", w.alice), true},
		"opaque, binary, binary inside":   {opaqueSigned(t, binary, "binary", w.alice), true},
		"opaque, binary, under old name":  {strings.Replace(opaqueSigned(t, crlf, "binary", w.alice), "pkcs7-mime", "x-pkcs7-mime", 1), true},
		"opaque, binary, as octet-stream": {strings.Replace(opaqueSigned(t, crlf, "binary", w.alice), "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream", 1), true},
	} {
		o := w.open(sealTo(t, mail(t, text), []byte(tt.entity), w.bob.Certificate), w.bob)
		if !o.Decrypted || o.Report.Result != certs.Pass {
			t.Errorf("%s: not delivered decrypted: %+v", name, o.Report)
			continue
		}
		carriable(t, name, o.Message)
		if again := w.open(o.Message); again.Report.Result != certs.Pass || again.Report.Reason == ReasonLineEnds {
			t.Errorf("%s: delivered, the signature is %q: %s", name, again.Report.Result, again.Report.Detail)
		}
		if opaque := layerOf(o.Message.Root()) == cmsLayer; opaque != tt.opaque {
			t.Errorf("%s: opaque is %v", name, opaque)
		}
	}
}

func opaqueSigned(t testing.TB, entity, encoding string, id *certs.Identity) string {
	t.Helper()
	signer, err := (&SignOptions{}).signer(id)
	if err != nil {
		t.Fatal(err)
	}
	object, err := cms.Sign(cms.SignRequest{Signers: []cms.Signer{signer}, Content: [][]byte{[]byte(entity)}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wrap(mail(t, "\n"), HeadersOpen, "signed-data", object)
	if err != nil {
		t.Fatal(err)
	}
	raw := encodedAs(t, m, encoding)
	_, entityOnly, _ := bytes.Cut(raw, []byte("Subject: hello\r\n"))
	return string(entityOnly)
}

// A broken signature is delivered as the broken signature that it is.
func TestCarriedBrokenSignature(t *testing.T) {
	w := newWorld(t)
	for name, entity := range map[string]string{
		"text":   clearSigned(t, "\nten\n", "\nsix\n", "\n", w.alice),
		"binary": clearSigned(t, "Content-Transfer-Encoding: binary\n\n\x00\r", "x", "\n", w.alice),
	} {
		o := Open(context.Background(), sealTo(t, mail(t, text), []byte(entity), w.bob.Certificate), w.options(w.bob))
		if !o.Decrypted || o.Report.Result != certs.Fail {
			t.Errorf("%s: %v, %+v", name, o.Decrypted, o.Report)
			continue
		}
		carriable(t, name, o.Message)
		if again := w.open(o.Message); again.Report.Result != certs.Fail {
			t.Errorf("%s: delivered, the signature is %q", name, again.Report.Result)
		}
	}
}
