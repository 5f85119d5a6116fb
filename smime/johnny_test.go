package smime

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// The forgeries of Müller and others, "Johnny, you are fired!" (USENIX Security 2019),
// as far as they are about S/MIME, by the names of their classes: bob has a certificate,
// and wants a reader to see that alice signed.
func TestForgedAuthors(t *testing.T) {
	const alice, bob = "alice@example.org", "bob@example.org"
	w := newWorld(t)
	expect(t, w.open(replace(t, w.sign(t, mail(t, text), w.bob, SignOptions{}), "From: Alice <alice@", "From: <bob@")), certs.Pass, "")
	for name, header := range map[string]string{
		"I1, another author":                 "From: " + alice + "\n",
		"I2, the name is the other":          "From: \"" + bob + "\" <" + alice + ">\n",
		"I2, the name without quotes":        "From: " + bob + " <" + alice + ">\n",
		"I2, the author without quotes":      "From: " + alice + " <" + bob + ">\n",
		"I2, the signer behind blanks":       "From: " + alice + "                . <" + bob + ">\n",
		"I2, the signer before blanks":       "From: " + bob + "                . <" + alice + ">\n",
		"I2, a name alone":                   "From: Alice\n",
		"I2, a name alone in brackets":       "From: Alice <>\n",
		"I2, empty":                          "From: \n",
		"I2, no field":                       "",
		"I2, an address inside of a route":   "From: <@example.org:" + alice + ">\n",
		"I2, the signer in a comment":        "From: " + alice + " (" + bob + ")\n",
		"I3, Sender is the signer":           "From: " + alice + "\nSender: " + bob + "\n",
		"I3, Sender is the author":           "From: " + bob + "\nSender: " + alice + "\nFrom: " + alice + "\n",
		"I3, Resent-From is the signer":      "From: " + alice + "\nResent-From: " + bob + "\n",
		"I3, Reply-To is the signer":         "From: " + alice + "\nReply-To: " + bob + "\n",
		"I3, the author before the signer":   "From: " + alice + ", " + bob + "\n",
		"I3, the signer before the author":   "From: " + bob + ", " + alice + "\n",
		"I3, two fields, the author first":   "From: " + alice + "\nFrom: " + bob + "\n",
		"I3, two fields, the signer first":   "From: " + bob + "\nFrom: " + alice + "\n",
		"I3, three, Sender is the author":    "From: " + alice + ", " + bob + "\nSender: " + alice + "\n",
		"I3, two of Sender":                  "From: " + alice + ", " + bob + "\nSender: " + bob + "\nSender: " + alice + "\n",
		"I3, the signer in a group":          "From: Management: " + bob + ", " + alice + ";\n",
		"I2, NUL behind the signer":          "From: " + bob + "\x00 <" + alice + ">\n",
		"I2, encoded words as the address":   "From: =?utf-8?q?alice=40example.org?= <" + bob + "\x00>\n",
		"I2, a line feed inside the mailbox": "From: =?utf-8?q?" + bob + "=0A?= <" + alice + ">\n",
	} {
		signed := w.sign(t, mail(t, text), w.bob, SignOptions{})
		forged := replace(t, signed, "From: Alice <alice@example.org>\r\n", strings.ReplaceAll(header, "\n", "\r\n"))
		if r := w.open(forged).Report; r.Result == certs.Pass {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// The class C: objects that make a reader take what is shown for signed by its author.
func TestForgedObjects(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t)
	const other = "Content-Type: text/plain\r\n\r\nJohnny, you are fired!"
	form := w.form(t, plainContent)
	attached := encoded(joint(t, false, plainContent, w.bob))
	for name, change := range map[string]func(*clearForm){
		"C1, the signed content inside, another shown": func(f *clearForm) { f.content, f.signature = other, attached },
		"C1, the signed content inside, none shown":    func(f *clearForm) { f.content, f.signature = "", attached },
		"C3, no signer": func(f *clearForm) {
			f.signature = encoded(cms.CertsOnly([]*x509.Certificate{w.bob.Certificate}, nil).Bytes())
		},
		"C3, no signer and no certificate": func(f *clearForm) { f.signature = encoded(cms.CertsOnly(nil, nil).Bytes()) },
		"C3, nothing":                      func(f *clearForm) { f.signature = "\r\n" },
		"C4, an authority that is not trusted": func(f *clearForm) {
			f.signature = stranger.detached(t, cms.SignRequest{}, f.content)
		},
	} {
		f := form
		change(&f)
		if r := w.open(parse(t, f.String())).Report; r.Result == certs.Pass {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// C2: beside a good signature of another's, the author's is wrong, in either order.
func TestForgedAmongSigners(t *testing.T) {
	w := newWorld(t)
	for name, forger := range map[string]*certs.Identity{"before": w.bob, "behind": w.issue("eve@example.org", "rsa3072")} {
		f := w.form(t, plainContent)
		f.fields = strings.Replace(f.fields, "Bob <bob@", "Alice <alice@", 1)
		object := joint(t, true, plainContent, w.alice, forger)
		f.signature = encoded(object)
		expect(t, w.open(parse(t, f.String())), certs.Pass, "")
		// An OCTET STRING of 256 octets is the signature of an RSA key of 2048 bits.
		object[bytes.LastIndex(object, []byte{4, 0x82, 1, 0})+20] ^= 1
		f.signature = encoded(object)
		if r := w.open(parse(t, f.String())).Report; r.Result == certs.Pass || len(r.Signers) != 2 {
			t.Errorf("the forger's %s the author's: %+v", name, r)
		}
	}
}

// joint returns a SignedData over content by all of ids.
func joint(t *testing.T, detached bool, content string, ids ...*certs.Identity) []byte {
	t.Helper()
	r := cms.SignRequest{Content: [][]byte{[]byte(content)}, Detached: detached}
	for _, id := range ids {
		r.Signers = append(r.Signers, testpki.Must((&SignOptions{}).signer(id)))
	}
	return testpki.Must(cms.Sign(r)).Bytes()
}

func encoded(object []byte) string { return string(testpki.Base64(object)) }

// The class M: what is signed is hidden beside what the forger shows.
func TestForgedParts(t *testing.T) {
	w := newWorld(t)
	signed := clearSigned(t, plainContent, plainContent, "\r\n", w.alice)
	const html = "Content-Type: text/html\r\n\r\n"
	part := func(kind string, parts ...string) string {
		return "Content-Type: " + kind + "; boundary=M\r\n\r\n--M\r\n" + strings.Join(parts, "\r\n--M\r\n") + "\r\n--M--\r\n"
	}
	for name, entity := range map[string]string{
		"M1, a text before it":         part("multipart/mixed", "\r\nJohnny, you are fired!\r\n\r\n", signed),
		"M2, hidden by CSS":            part("multipart/mixed", html+"<b>fired!</b><style>fieldset, br {display: none}</style><div style=\"display: none\"><plaintext>", signed),
		"M2, inside of an open tag":    part("multipart/mixed", html+"fired!<img src=\"", signed, html+"\">"),
		"M2, the other alternative":    part("multipart/alternative", signed, html+"fired!"),
		"M3, named and not shown":      part("multipart/related", html+"fired!<img src=\"cid:signed\">", "Content-ID: <signed>\r\n"+signed),
		"M4, as an attachment":         part("multipart/mixed", "\r\nfired!", "Content-Disposition: attachment; filename=a.eml\r\n"+signed),
		"M4, as an attached message":   part("multipart/mixed", "\r\nfired!", "Content-Type: message/rfc822\r\n\r\nFrom: alice@example.org\r\n"+signed),
		"U1, a seal in the text":       html + "<div class=\"status\">Signed by alice@example.org</div>",
		"covert, an opaque one inside": part("multipart/mixed", html+"fired!", opaqueEntity(t, plainContent, w.alice)),
	} {
		if r := w.open(entityMail(t, entity)).Report; r.Result == certs.Pass {
			t.Errorf("%s: %+v", name, r)
		}
	}
	expect(t, w.open(entityMail(t, signed)), certs.Pass, "")
}

// Covert content: what a ciphertext or a signature is beside of or inside of is not
// brought to the surface, and so a reply cannot quote it.
func TestCovertContent(t *testing.T) {
	w := newWorld(t)
	const text = "meet at ten"
	secret := string(contentOf(sealTo(t, mail(t, "\n"), []byte(plainContent), w.bob.Certificate)))
	for name, entity := range map[string]string{
		"behind a long text":      "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\n\r\n" + strings.Repeat("\r\n", 200) + "--M\r\n" + secret + "\r\n--M--\r\n",
		"hidden by CSS":           "Content-Type: multipart/related; boundary=M\r\n\r\n--M\r\nContent-Type: text/html\r\n\r\n<div style=\"display: none\">\r\n--M\r\n" + secret + "\r\n--M--\r\n",
		"in an attached message":  "Content-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\n" + secret,
		"inside of a clear one":   clearSigned(t, "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\n\r\nx\r\n--M\r\n"+secret+"\r\n--M--", "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\n\r\nx\r\n--M\r\n"+secret+"\r\n--M--", "\r\n", w.alice),
		"inside of an opaque one": opaqueEntity(t, "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\n\r\nx\r\n--M\r\n"+secret+"\r\n--M--", w.alice),
	} {
		o := w.open(entityMail(t, entity), w.bob)
		readable, err := o.Readable(true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.Decrypted || bytes.Contains(o.Message.Bytes(), []byte(text)) || bytes.Contains(readable.Bytes(), []byte(text)) {
			t.Errorf("%s: decrypted:\n%s", name, readable.Bytes())
		}
	}
}
