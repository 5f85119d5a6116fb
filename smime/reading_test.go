package smime

import (
	"cmp"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// clearForm is a message with multipart/signed in the pieces that a relay can
// change.
type clearForm struct {
	fields, contentType, preamble, content, second, signature, end string
	// boundary is what the delimiter lines have; "" is A.
	boundary string
}

func (f clearForm) String() string {
	line := "--" + cmp.Or(f.boundary, "A")
	return f.fields + f.contentType + "\r\n" + f.preamble + line + "\r\n" + f.content + "\r\n" + line + "\r\n" +
		f.second + "\r\n" + f.signature + strings.Replace(f.end, "--A", line, 1)
}

// detached returns a signature of bob's over content.
func (w *world) detached(t testing.TB, r cms.SignRequest, content string) string {
	t.Helper()
	id := w.bob
	key := id.Key.(crypto.Signer)
	r.Content, r.Detached = [][]byte{[]byte(content)}, true
	r.Signers = []cms.Signer{{
		Certificate: id.Certificate, Key: key, Digest: cms.DefaultDigest(key.Public()), Time: w.now,
	}}
	object, err := cms.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(testpki.Base64(object.Bytes()))
}

func (w *world) form(t testing.TB, content string) clearForm {
	t.Helper()
	return clearForm{
		fields: "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\n",
		contentType: "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n" +
			" micalg=sha-256; boundary=\"A\"\r\n",
		content: content,
		second: "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n" +
			"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n",
		signature: w.detached(t, cms.SignRequest{}, content),
		end:       "\r\n--A--\r\n",
	}
}

const plainContent = "Content-Type: text/plain\r\n\r\nmeet at ten"

// What real mail programs write has one reading.
func TestOneReading(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*clearForm){
		"as it is":         func(*clearForm) {},
		"token":            func(f *clearForm) { f.swap(`"A"`, "A") },
		"bare protocol":    func(f *clearForm) { f.swap(`"application/pkcs7-signature"`, "application/pkcs7-signature") },
		"older name":       func(f *clearForm) { f.swap("pkcs7-sig", "x-pkcs7-sig"); f.swapSecond("pkcs7-sig", "x-pkcs7-sig") },
		"upper case":       func(f *clearForm) { f.contentType = strings.ToUpper(f.contentType) },
		"last semicolon":   func(f *clearForm) { f.swap(`"A"`, `"A";`) },
		"folded":           func(f *clearForm) { f.swap("multipart", "\r\n\tmultipart"); f.swap("; ", "\r\n ;\r\n ") },
		"odd micalg":       func(f *clearForm) { f.swap("sha-256", "sha1,md5") },
		"preamble":         func(f *clearForm) { f.preamble = "This is an S/MIME signed message\r\n\r\n" },
		"epilogue":         func(f *clearForm) { f.end += "\r\nlist footer\r\n" },
		"padded delimiter": func(f *clearForm) { f.end = "\r\n--A-- \t\r\n" },
		"no names": func(f *clearForm) {
			f.second = "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n"
		},
		"quoted-printable": func(f *clearForm) { f.fields += "Content-Transfer-Encoding: quoted-printable\r\n" },
	} {
		t.Run(name, func(t *testing.T) {
			f := w.form(t, plainContent)
			change(&f)
			expect(t, w.open(parse(t, f.String())), certs.Pass, "")
		})
	}
}

func (f *clearForm) swap(old, replacement string) {
	f.contentType = strings.Replace(f.contentType, old, replacement, 1)
}

// bound sets the boundary as the parameter and as the delimiter lines have it.
func (f *clearForm) bound(parameter, line string) {
	f.swap(`"A"`, parameter)
	f.boundary = line
}

func (f *clearForm) swapSecond(old, replacement string) {
	f.second = strings.Replace(f.second, old, replacement, 1)
}

// What two readers read in two ways never passes, and says that it is ambiguous.
func TestTwoReadings(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*clearForm){
		"comment before the boundary":      func(f *clearForm) { f.swap(`boundary=`, `boundary=(x)`) },
		"comment behind the boundary":      func(f *clearForm) { f.swap(`"A"`, `"A" (; boundary=B)`) },
		"comment before the type":          func(f *clearForm) { f.swap("multipart", "(x) multipart") },
		"comment behind the protocol":      func(f *clearForm) { f.swap(`signature"`, `signature" (x)`) },
		"needless quoted pair":             func(f *clearForm) { f.swap(`"A"`, `"\A"`) },
		"quoted pair in the protocol":      func(f *clearForm) { f.swap("/pkcs7", `/\pkcs7`) },
		"blanks around the equals sign":    func(f *clearForm) { f.swap(`boundary=`, `boundary = `) },
		"fold inside the quotes":           func(f *clearForm) { f.swap(`"A"`, "\"\r\n A\"") },
		"two boundaries":                   func(f *clearForm) { f.swap("micalg", `boundary="B"; micalg`) },
		"two of one name":                  func(f *clearForm) { f.swap("micalg", `name=a; name=b; micalg`) },
		"extended boundary":                func(f *clearForm) { f.swap(`boundary="A"`, `boundary*=us-ascii''A`) },
		"extended beside plain":            func(f *clearForm) { f.swap("micalg", `boundary*=''B; micalg`) },
		"pieces":                           func(f *clearForm) { f.swap(`boundary="A"`, `boundary*0="A"`) },
		"pieces from minus one":            func(f *clearForm) { f.swap(`boundary="A"`, `boundary*-1=""; boundary*0="A"`) },
		"piece with zeros":                 func(f *clearForm) { f.swap(`boundary="A"`, `boundary*00="A"`) },
		"pieces of the protocol":           func(f *clearForm) { f.swap("protocol", "protocol*0") },
		"no protocol":                      func(f *clearForm) { f.swap("protocol", "x-protocol") },
		"equals sign in the boundary":      func(f *clearForm) { f.bound("A=A", "A=A") },
		"encoded word":                     func(f *clearForm) { f.bound(`"=?us-ascii?q?A?="`, "=?us-ascii?q?A?=") },
		"control in the boundary":          func(f *clearForm) { f.bound("\"A\x01\"", "A\x01") },
		"blank at its start":               func(f *clearForm) { f.bound(`" A"`, " A") },
		"foreign character":                func(f *clearForm) { f.bound(`"A;"`, "A;") },
		"blank at the end of the boundary": func(f *clearForm) { f.bound(`"A "`, "A ") },
		"8-bit":                            func(f *clearForm) { f.swap("micalg", "name=\"\xe4\"; micalg") },
		"value without a name":             func(f *clearForm) { f.swap("micalg", "x; micalg") },
		"blank before the colon":           func(f *clearForm) { f.swap("Type:", "Type :") },
		"blank in another field":           func(f *clearForm) { f.fields = "Subject : x\r\n" + f.fields },
		"blank line in a field":            func(f *clearForm) { f.fields += "Subject: x\r\n \r\n y\r\n" },
		"NUL":                              func(f *clearForm) { f.fields += "Subject: x\x00\r\n" },
		"two types":                        func(f *clearForm) { f.fields += "Content-Type: text/html\r\n" },
		"two versions":                     func(f *clearForm) { f.fields += "MIME-Version: 1.0\r\n" },
		"two dispositions":                 func(f *clearForm) { f.fields += strings.Repeat("Content-Disposition: inline\r\n", 2) },
		"base64":                           func(f *clearForm) { f.fields += "Content-Transfer-Encoding: base64\r\n" },
		"unknown encoding":                 func(f *clearForm) { f.fields += "Content-Transfer-Encoding: x-uuencode\r\n" },
		"encoding with a comment":          func(f *clearForm) { f.fields += "Content-Transfer-Encoding: 7bit (base64)\r\n" },
		"line like a delimiter, before":    func(f *clearForm) { f.preamble = "--Ax\r\n\r\n<b>pay</b>\r\n" },
		"line like a delimiter, behind":    func(f *clearForm) { f.end += "--A\r\n\r\n<b>pay</b>\r\n--A--\r\n" },
		"bare CR before a delimiter":       func(f *clearForm) { f.preamble = "x\r--A\r\n\r\n<b>pay</b>\r\n" },
		"no end":                           func(f *clearForm) { f.end = "\r\n" },
		"name of the signature":            func(f *clearForm) { f.swapSecond(`name="smime.p7s"`, `name="pay.html"`) },
		"file name of the signature":       func(f *clearForm) { f.swapSecond(`filename="smime.p7s"`, `filename="pay.exe"`) },
		"extended file name":               func(f *clearForm) { f.swapSecond(`filename=`, `filename*=''pay.exe; filename=`) },
		"two types of the signature":       func(f *clearForm) { f.second += "Content-Type: text/html\r\n" },
		"blank in the signature's header":  func(f *clearForm) { f.second = "X : y\r\n" + f.second },
	} {
		t.Run(name, func(t *testing.T) {
			f := w.form(t, plainContent)
			change(&f)
			opened := w.open(parse(t, f.String()))
			expect(t, opened, certs.PermError, "ambiguous")
			if opened.Report.Detail == "" || len(opened.Report.Signers) > 0 {
				t.Errorf("detail %q, signers %v", opened.Report.Detail, opened.Report.Signers)
			}
			if kind := Inspect(parse(t, f.String())); kind.Signed || kind.Defect+kind.Doubt == "" {
				t.Errorf("is taken for signed outbound: %+v", kind)
			}
		})
	}
}

// So does what is around a CMS object. Inside of encryption nothing passes either,
// and what was decrypted is delivered all the same.
func TestTwoReadingsOfObject(t *testing.T) {
	w := newWorld(t)
	opaque := w.sign(t, mail(t, text), w.alice, SignOptions{Opaque: true})
	for old, replacement := range map[string]string{
		"application/pkcs7-mime;": "application/pkcs7-mime (x);", "Content-Type:": "Content-Type :",
		"smime-type=": "name=a.html; smime-type=", "base64\r\n": "base64 (x)\r\n",
	} {
		odd := replace(t, opaque, old, replacement)
		expect(t, w.open(odd), certs.PermError, "ambiguous")
		if kind := Inspect(odd); kind.Signed {
			t.Errorf("%q is taken for signed outbound", replacement)
		}
		secret := replace(t, encrypt(t, opaque, EncryptOptions{}, w.bob), old, replacement)
		opened := w.open(secret, w.bob)
		expect(t, opened, certs.PermError, "ambiguous")
		if !opened.Decrypted {
			t.Errorf("%q: not decrypted", replacement)
		}
	}
}

// A boundary that a relay chooses by what is in the signed content splits it
// for some readers.
func TestBoundaryFromTheContent(t *testing.T) {
	w := newWorld(t)
	expect(t, w.open(parse(t, w.form(t, plainContent+"\r\n--Alice").String())), certs.PermError, "ambiguous")
	open := w.form(t, "Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nx").String()
	open = strings.NewReplacer(`"A"`, `"BA"`, "--A", "--BA").Replace(open)
	expect(t, w.open(parse(t, open)), certs.PermError, "ambiguous")
}

// The second part is of the type of a signature, or nothing passes: it would be
// shown, and no signature covers it.
func TestSignaturePart(t *testing.T) {
	w := newWorld(t)
	for _, typ := range []string{"text/html", "application/zip", "image/svg+xml", "message/rfc822", "application/pgp-signature",
		"application/pkcs7-mime", "application/octet-stream", "multipart/mixed; boundary=\"B\"", "text"} {
		f := w.form(t, plainContent)
		f.swapSecond("application/pkcs7-signature", typ)
		if r := w.open(parse(t, f.String())).Report; r.Result != certs.PermError || len(r.Signers) > 0 {
			t.Errorf("%s: %+v", typ, r)
		}
	}
}

// A quoted-printable that would change what is shown is an ambiguity.
func TestEncodingOnMultipart(t *testing.T) {
	w := newWorld(t)
	for content, result := range map[string]certs.Result{
		"Content-Type: text/plain\r\n\r\na = b, 100 %":                                                          certs.Pass,
		"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\nau lait": certs.Pass,
		"Content-Type: text/plain\r\n\r\n=41":                                                                   certs.PermError,
		"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D41":                  certs.PermError,
		"Content-Type: text/plain; charset=BA\r\n\r\nx":                                                         certs.PermError,
		"Content-Type: multipart/mixed; boundary=xy\r\n\r\n--xy\r\n\r\nhello=\r\n--xy\r\n\r\nworld\r\n--xy--":   certs.PermError,
	} {
		f := w.form(t, content)
		f.fields += "Content-Transfer-Encoding: quoted-printable\r\n"
		r := w.open(parse(t, f.String())).Report
		if r.Result != result || result == certs.PermError && !strings.Contains(r.Detail, "Content-Transfer-Encoding") {
			t.Errorf("%q: %s %s %s", content, r.Result, r.Reason, r.Detail)
		}
	}
}

// RFC 2046 section 5.1.1: the line end before a delimiter is the delimiter's,
// also where it is the only thing behind a header.
func TestSignedPartWithoutBody(t *testing.T) {
	w := newWorld(t)
	for _, content := range []string{
		"", "\r\n", "Content-Type: text/plain", "Content-Type: text/plain\r\n", "Content-Type: text/plain\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n--B\r\n\r\n--B\r\nA: b\r\n--B--",
	} {
		expect(t, w.open(parse(t, w.form(t, content).String())), certs.Pass, "")
		lines := strings.ReplaceAll(w.form(t, content).String(), "\r\n", "\n")
		if r := w.open(parse(t, lines)).Report; r.Result != certs.Pass {
			t.Errorf("%q with LF: %+v", content, r)
		}
	}
}

// An old signature under a new Date field is no pass, however the field is
// spelled.
func TestReplayedSignature(t *testing.T) {
	w := newWorld(t)
	later := w.now.Add(24 * 365 * 3600e9)
	old := "Date: Thu, 1 Jan 2026 09:00:00 +0000\r\n"
	for _, date := range []string{
		"", "Date: " + later.Format("Mon, 2 Jan 2006 15:04:05 -0700") + "\r\n", old + old, "Date: " + later.Format("2006-01-02T15:04:05Z07:00") + "\r\n",
		"Date: " + later.Format("Mon Jan _2 15:04:05 2006") + "\r\n", "Date: " + later.Format("Mon, 2 Jan 2006 15:04:05") + "\r\n",
		"Date: Fri, 1 Jan 2026 09:00:00 +0000\r\n", "Date: Thu, 1 Jan 2026 09:00:00 PST\r\n",
	} {
		f := w.form(t, plainContent)
		f.fields = strings.Replace(f.fields, old, date, 1)
		opened := w.open(parse(t, f.String()))
		expect(t, opened, certs.PolicyNo, "signing-time")
		if s := opened.Report.Signers; len(s) != 1 || s[0].Result == certs.Pass {
			t.Errorf("%q: signers %+v", date, s)
		}
	}
}

// A message may wait for four hours between its signature and its Date, and no
// longer.
func TestSigningTimeBeforeDate(t *testing.T) {
	w := newWorld(t)
	for after, result := range map[time.Duration]certs.Result{
		-100 * time.Hour: certs.Pass, 4 * time.Hour: certs.Pass, 4*time.Hour + time.Second: certs.PolicyNo,
	} {
		f := w.form(t, plainContent)
		date := "Date: " + w.now.Add(after).UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700") + "\r\n"
		f.fields = strings.Replace(f.fields, "Date: Thu, 1 Jan 2026 09:00:00 +0000\r\n", date, 1)
		if r := w.open(parse(t, f.String())).Report; r.Result != result {
			t.Errorf("Date %s after the signature: %s %s", after, r.Result, r.Reason)
		}
	}
}

// A signing time in the future would let an old signature be sent again until then.
func TestSigningTimeInTheFuture(t *testing.T) {
	w := newWorld(t)
	for ahead, result := range map[time.Duration]certs.Result{
		12 * time.Hour: certs.Pass, 24 * time.Hour: certs.Pass, 24*time.Hour + time.Second: certs.PolicyNo, 365 * 24 * time.Hour: certs.PolicyNo,
	} {
		o := w.options()
		o.At = w.now.Add(-ahead)
		opened := Open(t.Context(), parse(t, w.form(t, plainContent).String()), o)
		if r := opened.Report; r.Result != result || result != certs.Pass && r.Reason != ReasonStale {
			t.Errorf("signed %s ahead: %s %s", ahead, r.Result, r.Reason)
		}
	}
	// Without a time the clock counts.
	f := w.form(t, plainContent)
	w.now = w.now.AddDate(1, 0, 0)
	f.signature = w.detached(t, cms.SignRequest{}, plainContent)
	expect(t, w.open(parse(t, f.String())), certs.PolicyNo, ReasonStale)
}

// RFC 8551 section 2.4: a signature over anything but id-data is not a message's.
func TestForeignContentType(t *testing.T) {
	w := newWorld(t)
	f := w.form(t, plainContent)
	object, err := message.DecodeBase64([]byte(f.signature))
	if err != nil {
		t.Fatal(err)
	}
	// id-data occurs as eContentType and as the signed attribute; the signature
	// is checked after both.
	foreign := strings.Replace(string(object), "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05", 1)
	f.signature = string(testpki.Base64([]byte(foreign)))
	expect(t, w.open(parse(t, f.String())), certs.PermError, "unsupported-algorithm")
}

// Relays write a field without the white space before its colon, also inside: what
// is signed clear has that form already, and what must stay as it is goes opaque.
func TestFieldsThatRelaysRewrite(t *testing.T) {
	w := newWorld(t)
	const head = "From : bob@example.org\nTo\t: alice@example.org\nDate : Thu, 1 Jan 2026 09:00:00 +0000\nSubject: a\n \n b\nMIME-Version : 1.0\n"
	for entity, clear := range map[string]bool{
		"Content-Type : text/html\n\n<p>x</p>\n": true,
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/csv\nContent-Disposition : inline\n\na : b\n--b--\n":                                          true,
		"Content-Type: message/rfc822\n\nFrom : x@y.example\nSubject:\n \n inner\n\ntext : x\n":                                                                             true,
		"Content-Type: message/rfc822\n\nDKIM-Signature: v=1\nSubject : inner\n\ntext\n":                                                                                    false,
		"Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\n\n--b\nX : y\n\nx\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n": false,
		"Content-Type: multipart/mixed; boundary=(x)b\n\n--b\n\nx\n--b--\n":                                                                                                 false,
		"Content-Type: multipart/mixed; boundary*0=b\n\n--b\n\nx\n--b--\n":                                                                                                  false,
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--bc\n--b--\n":                                                                                              false,
		"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: quoted-printable\n\n--b\n\nx\n--b--\n":                                                       true,
		"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n":                                                                 false,
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n":                                                                                                           true, // its end is that of the signed part
	} {
		m := parse(t, strings.ReplaceAll(head+entity, "\n", "\r\n"))
		signed := w.sign(t, m, w.bob, SignOptions{})
		if got := signed.Root().MediaType == typeSigned; got != clear {
			t.Errorf("%q: clear is %v", entity, got)
		}
		expect(t, w.open(signed), certs.Pass, "")
		if oddField.Match(signed.Header()) || clear && !plainInside(signed.Root()) {
			t.Errorf("a relay would change\n%s", signed.Bytes())
		}
	}
}
