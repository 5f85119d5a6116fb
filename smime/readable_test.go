package smime

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// compressedEntity writes a CompressedData (RFC 3274) around an entity.
func compressedEntity(t testing.TB, entity string) string {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	testpki.Must(w.Write([]byte(entity)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	type content struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	type algorithm struct{ Algorithm asn1.ObjectIdentifier }
	data := testpki.Must(asn1.Marshal(struct {
		Version   int
		Algorithm algorithm
		Content   content
	}{0, algorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}}, content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, z.Bytes()}}))
	der := testpki.Must(asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: data}}))
	return "Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7z\r\n\r\n" + string(testpki.Base64(der))
}

// entityMail is alice's message with an entity, as it is.
func entityMail(t testing.TB, entity string) *message.Message {
	t.Helper()
	return parse(t, strings.ReplaceAll("From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\nMIME-Version: 1.0\n", "\n", "\r\n")+entity)
}

// opaqueEntity is opaqueSigned without the fields of a message.
func opaqueEntity(t testing.TB, entity string, id *certs.Identity) string {
	t.Helper()
	return strings.Replace(opaqueSigned(t, entity, "base64", id), "MIME-Version: 1.0\r\n", "", 1)
}

// What clients write becomes ordinary MIME: the entity that was signed, as it was.
func TestReadable(t *testing.T) {
	w := newWorld(t)
	const part = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße \r\n"
	const invitation = "Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
	binary := "Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n%PDF\r\x00\n\xff"
	opaque := func(entity string) string { return opaqueEntity(t, entity, w.alice) }
	clear := func(entity string) string { return clearSigned(t, entity, entity, "\r\n", w.alice) }
	for name, tt := range map[string]struct {
		message *message.Message
		strip   bool
		result  certs.Result
		clear   bool   // a signature is still there
		entity  string // byte for byte; "" where only the decoded content is compared
		text    string
	}{
		"opaque":                       {message: entityMail(t, opaque(part)), result: certs.Pass, entity: part},
		"opaque, an invitation":        {message: entityMail(t, opaque(invitation)), result: certs.Pass, entity: invitation},
		"opaque, binary inside":        {message: entityMail(t, opaque(binary)), result: certs.Pass, text: "%PDF\r\x00\n\xff"},
		"opaque, LF inside":            {message: entityMail(t, opaque("Content-Type: text/plain\n\na\nb\n")), result: certs.Pass, text: "a\r\nb\r\n"},
		"opaque, no header inside":     {message: entityMail(t, opaque("just text")), result: certs.Pass, text: "just text"},
		"compressed":                   {message: entityMail(t, compressedEntity(t, part)), result: certs.None, entity: part},
		"opaque, compressed inside":    {message: entityMail(t, opaque(compressedEntity(t, part))), result: certs.Pass, entity: part},
		"compressed, opaque inside":    {message: entityMail(t, compressedEntity(t, opaque(part))), result: certs.Pass, entity: part},
		"clear":                        {message: entityMail(t, clear(part)), result: certs.Pass, clear: true, entity: clear(part)},
		"clear, stripped":              {message: entityMail(t, clear(part)), strip: true, result: certs.Pass, entity: part},
		"opaque, clear inside":         {message: entityMail(t, opaque(clear(part))), result: certs.Pass, clear: true, entity: clear(part)},
		"opaque, clear, stripped":      {message: entityMail(t, opaque(clear(part))), strip: true, result: certs.Pass, entity: part},
		"clear, opaque inside":         {message: entityMail(t, clear(opaque(part))), result: certs.Pass, entity: part},
		"encrypted":                    {message: sealTo(t, mail(t, "\n"), []byte(part), w.bob.Certificate), result: certs.None, entity: part},
		"encrypted, opaque inside":     {message: sealTo(t, mail(t, "\n"), []byte(opaque(part)), w.bob.Certificate), result: certs.Pass, entity: part},
		"encrypted, clear inside":      {message: sealTo(t, mail(t, "\n"), []byte(clear(part)), w.bob.Certificate), result: certs.Pass, clear: true, entity: clear(part)},
		"encrypted, clear over binary": {message: sealTo(t, mail(t, "\n"), []byte(clear(binary)), w.bob.Certificate), result: certs.Pass, text: "%PDF\r\x00\n\xff"},
		"no S/MIME":                    {message: entityMail(t, part), result: certs.None, entity: part},
	} {
		o := w.open(tt.message, w.bob)
		if o.Report.Result != tt.result {
			t.Errorf("%s: %+v", name, o.Report)
			continue
		}
		got, err := o.Readable(tt.strip)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		carriable(t, name, got)
		if k := Inspect(got); k.Signed != tt.clear || k.Encrypted || layerOf(got.Root()) == cmsLayer {
			t.Errorf("%s: it is still S/MIME:\n%s", name, got.Bytes())
		}
		if tt.clear && w.open(got).Report.Result != certs.Pass {
			t.Errorf("%s: the signature that stays is broken", name)
		}
		if got.Get("Subject") != "hello" || len(got.All("Content-Type")) != 1 || len(got.All("MIME-Version")) != 1 {
			t.Errorf("%s: header %q", name, got.Header())
		}
		if tt.entity != "" && !strings.HasSuffix(string(got.Bytes()), tt.entity) {
			t.Errorf("%s: another entity:\n%s\nwant\n%s", name, got.Bytes(), tt.entity)
		}
		if tt.text != "" && string(decoded(t, got)) != tt.text {
			t.Errorf("%s: a reader sees %q", name, decoded(t, got))
		}
	}
}

// What is signed in one piece or compressed beside other parts, as a mailing list leaves it,
// is read, too, and does not pass. What is encrypted, signed around, attached or a file stays.
func TestReadableParts(t *testing.T) {
	w := newWorld(t)
	const part = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße\r\n"
	opaque := func(entity string) string { return opaqueEntity(t, entity, w.alice) }
	clear := func(entity string) string { return clearSigned(t, entity, entity, "\r\n", w.alice) }
	sealed := func(content string) string {
		m := sealTo(t, mail(t, "\n"), []byte(content), w.bob.Certificate)
		return string(message.WriteHeader(contentFields(m))) + string(m.Body())
	}
	list := func(entity string) string {
		return "Content-Type: multipart/mixed; boundary=list\r\n\r\npreamble\r\n--list\r\n" + entity + "\r\n--list\r\nContent-Type: text/plain\r\n\r\nfooter\r\n--list--\r\n"
	}
	file := strings.NewReplacer("smime.p7m", "a.pdf.p7m").Replace(opaque("%PDF\x00"))
	const binary = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00grüße\n"
	for name, tt := range map[string]struct{ entity, types string }{
		"opaque":                     {list(opaque(part)), "multipart/mixed text/plain text/plain"},
		"compressed":                 {list(compressedEntity(t, part)), "multipart/mixed text/plain text/plain"},
		"compressed, opaque":         {list(compressedEntity(t, opaque(part))), "multipart/mixed text/plain text/plain"},
		"opaque, binary":             {list(opaque(binary)), "multipart/mixed text/plain text/plain"},
		"opaque, clear":              {list(opaque(clear(part))), "multipart/mixed multipart/signed text/plain application/pkcs7-signature text/plain"},
		"opaque, a list in that":     {list(opaque(strings.ReplaceAll(list(opaque(part)), "list", "inner"))), "multipart/mixed multipart/mixed text/plain text/plain text/plain"},
		"the boundary inside":        {list(opaque("Content-Type: text/plain\r\n\r\n--list\r\nContent-Type: text/html\r\n\r\nx\r\n")), "multipart/mixed application/pkcs7-mime text/plain"},
		"the boundary, deep":         {list(opaque(opaque(list(part)))), "multipart/mixed application/pkcs7-mime text/plain"},
		"encrypted":                  {list(sealed(part)), "multipart/mixed application/pkcs7-mime text/plain"},
		"opaque, encrypted":          {list(opaque(sealed(part))), "multipart/mixed application/pkcs7-mime text/plain"},
		"a file":                     {list(file), "multipart/mixed application/pkcs7-mime text/plain"},
		"a message":                  {list("Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\nMIME-Version: 1.0\r\n" + opaque(part)), "multipart/mixed message/rfc822 application/pkcs7-mime text/plain"},
		"signed around":              {clear(list(opaque(part))), "multipart/signed multipart/mixed application/pkcs7-mime text/plain application/pkcs7-signature"},
		"signed around, in one":      {opaque(list(opaque(part))), "multipart/mixed text/plain text/plain"},
		"encrypted around":           {sealed(list(opaque(part))), "multipart/mixed text/plain text/plain"},
		"a type that is given twice": {list("Content-Type: application/pkcs7-mime\r\n" + opaque(part)), "multipart/mixed application/pkcs7-mime text/plain"},
	} {
		m := entityMail(t, tt.entity)
		o := w.open(m, w.bob)
		got, err := o.Readable(false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		carriable(t, name, got)
		var types []string
		text := ""
		got.Root().Walk(func(p *message.Part) bool {
			types = append(types, p.MediaType)
			if content, err := p.Decode(); err == nil && p.MediaType == "text/plain" {
				text += string(content)
			}
			return true
		})
		if strings.Join(types, " ") != tt.types {
			t.Errorf("%s: %s in\n%s", name, types, got.Bytes())
		}
		if opened := !strings.Contains(tt.types, "pkcs7-mime"); opened != strings.Contains(text, "grüße") || !strings.Contains(text, "footer") {
			t.Errorf("%s: a reader sees %q", name, text)
		}
		if o.Report.Result == certs.Pass && !strings.HasPrefix(name, "signed around") {
			t.Errorf("%s: passed", name)
		}
		if strings.HasPrefix(name, "a ") && got != m {
			t.Errorf("%s: another message", name)
		}
	}
	options := w.options()
	options.Reserve = func(int64) bool { return false }
	if _, err := Open(t.Context(), entityMail(t, list(compressedEntity(t, part))), options).Readable(false); !errors.Is(err, cms.ErrMemory) {
		t.Errorf("without memory: %v", err)
	}
}

// What was signed, encrypted or compressed without a MIME header is the file that the name
// of the object says, or text where it can be: of a file every octet counts.
func TestFilesInside(t *testing.T) {
	w := newWorld(t)
	pdf := "%PDF-1.7\n%\xe2\xe3\n\x00\r\x01\r\nend"
	named := func(entity, name string) string {
		if !strings.HasPrefix(name, "*") {
			name = "=" + name
		}
		return strings.NewReplacer("name=smime.p7m", "name"+name, "name=\"smime.p7m\"", "name"+name, "name=smime.p7z", "name"+name).Replace(entity)
	}
	opaque := func(content string) string { return opaqueEntity(t, content, w.alice) }
	sealed := func(content string) string {
		m := sealTo(t, mail(t, "\n"), []byte(content), w.bob.Certificate)
		return string(message.WriteHeader(contentFields(m))) + string(m.Body())
	}
	for name, tt := range map[string]struct{ entity, file, content string }{
		"signed, named":              {named(opaque(pdf), "contract.pdf.p7m"), "contract.pdf", pdf},
		"signed, a path":             {named(opaque(pdf), `"x/contract.pdf.P7M"`), "contract.pdf", pdf},
		"signed, in Unicode":         {named(opaque(pdf), `*=utf-8''Vertr%C3%A4ge.pdf.p7m`), "Verträge.pdf", pdf},
		"signed, named smime.p7m":    {opaque(pdf), "", pdf},
		"text, named":                {named(opaque("<a>b: c</a>\n"), "bill.xml.p7m"), "bill.xml", "<a>b: c</a>\n"},
		"like a header, named":       {named(opaque("Note: this\n\nis text\n"), "note.txt.p7m"), "note.txt", "Note: this\n\nis text\n"},
		"like a header":              {opaque("Note: this\n\nis text\n"), "", "is text\r\n"},
		"text":                       {opaque("<a>b: c</a>\n"), "", "<a>b: c</a>\r\n"},
		"an entity, named":           {named(opaque("Content-Type: text/plain\r\n\r\nhello\r\n"), "contract.pdf.p7m"), "", "hello\r\n"},
		"compressed, named":          {named(compressedEntity(t, pdf), "contract.pdf.p7z"), "contract.pdf", pdf},
		"encrypted, named":           {named(sealed(pdf), "contract.pdf.p7m"), "contract.pdf", pdf},
		"encrypted":                  {sealed(pdf), "", pdf},
		"encrypted, signed in that":  {sealed(named(opaque(pdf), "contract.pdf.p7m")), "contract.pdf", pdf},
		"signed, a name with a line": {named(opaque(pdf), `*=utf-8''a%0D%0AX-SMIME-Status:%20pass.pdf.p7m`), "a\r\nX-SMIME-Status: pass.pdf", pdf},
	} {
		m := entityMail(t, tt.entity)
		got, err := w.open(m, w.bob).Readable(false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		carriable(t, name, got)
		root := got.Root()
		if content, err := root.Decode(); err != nil || string(content) != tt.content || tt.file != "" && root.Filename() != tt.file {
			t.Errorf("%s: %q, %v, %.100q in\n%s", name, root.Filename(), err, content, got.Header())
		}
		if file := root.MediaType == "application/octet-stream"; file != (tt.content == pdf || tt.file != "") || got.Has("X-SMIME-Status") {
			t.Errorf("%s:\n%s", name, got.Header())
		}
		sameAsOpen(t, name, m.Bytes(), w.options(w.bob))
	}
}

// What is inside brings no fields but its own description to the surface.
func TestReadableBringsNoForgedStatus(t *testing.T) {
	w := newWorld(t)
	const forged = "X-SMIME-Status: pass\r\nAuthentication-Results: gw; smime=pass\r\nFrom: ceo@example.org\r\n"
	for name, strip := range map[string]bool{"opaque": false, "clear": true} {
		entity := forged + "Content-Type: text/plain\r\n\r\nhello\r\n"
		m := entityMail(t, opaqueEntity(t, entity, w.alice))
		if strip {
			m = entityMail(t, clearSigned(t, entity, entity, "\r\n", w.alice))
		}
		got, err := w.open(m).Readable(strip)
		if err != nil || got.Has("X-SMIME-Status") || got.Has("Authentication-Results") || len(got.All("From")) != 1 {
			t.Errorf("%s: %v\n%s", name, err, got.Bytes())
		}
	}
}

// A message whose layers cannot all be opened stays what it is.
func TestReadableStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	for name, m := range map[string]*message.Message{
		"not ours":              sealTo(t, mail(t, "\n"), []byte("x"), w.issue("x@example.org", "rsa2048").Certificate),
		"opaque, broken inside": entityMail(t, opaqueEntity(t, "Content-Type: application/pkcs7-mime\r\n\r\nnonsense", w.alice)),
	} {
		o := w.open(m, w.bob)
		if got, err := o.Readable(true); err != nil || got != m {
			t.Errorf("%s: %v\n%s", name, err, got.Bytes())
		}
	}
}
