package test

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/dovecottest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
)

// formRules deliver in the form that a field of the message names.
const formRules = `
[[inbound_rule]]
name = "readable"
recipient = ["` + alice + `"]
header = ["X-Form: readable"]
deliver = "readable"

[[inbound_rule]]
name = "stripped"
recipient = ["` + alice + `"]
header = ["X-Form: stripped"]
deliver = "readable"
strip_signature = "valid"
original = "attach"

[[inbound_rule]]
name = "as it is"
recipient = ["` + alice + `"]
header = ["X-Form: as-is"]
deliver = "as-is"
`

// letterWithFile is what a partner writes: a text and a file.
const letterWithFile = "Content-Type: multipart/mixed; boundary=\"=_l\"\r\n\r\n--=_l\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6ne Gr=C3=BC=C3=9Fe\r\n--=_l\r\nContent-Type: application/pdf; name=\"plan.pdf\"\r\n" +
	"Content-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjcA/w==\r\n--=_l--\r\n"

// readByPython is what a mail program without S/MIME makes of a message: Python's
// email reads it.
const readByPython = `
import email, email.policy, json, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
text = m.get_body(preferencelist=("plain",))
print(json.dumps({
    "text": text.get_content() if text else "",
    "files": {p.get_filename() or "": p.get_content().hex() for p in m.walk() if p.get_content_type() == "application/pdf"},
    "types": [p.get_content_type() for p in m.walk()]}))
`

type pythonView struct {
	Text  string            `json:"text"`
	Files map[string]string `json:"files"`
	Types []string          `json:"types"`
}

func pythonReads(t *testing.T, m []byte) pythonView {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", readByPython)
	cmd.Stdin = bytes.NewReader(m)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("python3: %v\n%s", err, errs.Bytes())
	}
	var v pythonView
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// testForms: what clients write opens in a reader without S/MIME where a rule says so,
// with its text and files, and as it came where a rule says that.
func (d *deployment) testForms(t *testing.T) {
	openssl := d.openssl.(*peer.OpenSSL)
	opaque, err := d.openssl.Sign([]byte(letterWithFile), d.ids[partner], peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := openssl.SignClear([]byte(letterWithFile), d.ids[partner])
	if err != nil {
		t.Fatal(err)
	}
	clear := string(entityOf(canonical(signed)))
	encrypt := func(entity, cipher string) string {
		encrypted, err := d.openssl.Encrypt([]byte(entity), d.ids[alice], peer.Algorithms{Cipher: cipher})
		if err != nil {
			t.Fatal(err)
		}
		return string(encrypted)
	}
	forms := map[string]foreignForm{
		"opaque":                  {string(opaque), "pass"},
		"clear":                   {clear, "pass"},
		"compressed":              {compressed(letterWithFile), "none"},
		"encrypted":               {encrypt(letterWithFile, "aes-256-cbc"), "none"},
		"encrypted, opaque":       {encrypt(string(opaque), "aes-128-cbc"), "pass"},
		"encrypted, clear":        {encrypt(clear, "aes-256-gcm"), "pass"},
		"encrypted, compressed":   {encrypt(compressed(letterWithFile), "aes-256-cbc"), "none"},
		"opaque, of a compressed": {d.signedBy(t, d.openssl, compressed(letterWithFile)), "pass"},
		"no S/MIME":               {letterWithFile, "none"},
		"opaque, of a stranger":   {d.strangersOpaque(t), "fail"},
		"opaque, encrypted, GCM":  {encrypt(string(opaque), "aes-256-gcm"), "pass"},
		"opaque, of a list":       {withListFooter(string(opaque)), "neutral"},
		"compressed, of a list":   {withListFooter(compressed(letterWithFile)), "none"},
	}
	for _, p := range []peer.Peer{d.gnupg, d.nss} {
		signed := d.signedBy(t, p, letterWithFile)
		forms["opaque, "+p.Name()] = foreignForm{signed, "pass"}
		forms["encrypted, "+p.Name()] = foreignForm{d.encryptedBy(t, p, letterWithFile), "none"}
		forms["encrypted, opaque, "+p.Name()] = foreignForm{d.encryptedBy(t, p, signed), "pass"}
	}
	for name, c := range dressed(clear, string(opaque), encrypt) {
		forms[name] = c
	}
	// Apple Mail leaves the transfer encoding of a text on a multipart, where it says nothing.
	marked := "Content-Transfer-Encoding: quoted-printable\r\n" + letterWithFile
	if signed, err = openssl.SignClear([]byte(marked), d.ids[partner]); err != nil {
		t.Fatal(err)
	}
	forms["clear, of Apple Mail, an encoding on the multipart"] = foreignForm{string(entityOf(canonical(signed))), "pass"}
	for name, c := range forms {
		for _, form := range []string{"readable", "stripped"} {
			t.Run(name+" "+form, func(t *testing.T) {
				m := newMail(t, partner, alice)
				m.entity, m.headers = c.entity, "X-Form: "+form+"\r\n"
				want(t, d.receive(t, m), alice, "accepted")
				got := d.arrived(t, m, alice)
				status(t, got.Data, c.status)
				v := pythonReads(t, got.Data)
				if strings.TrimSpace(v.Text) != "Schöne Grüße" || v.Files["plan.pdf"] != "255044462d312e3700ff" {
					t.Errorf("a reader sees %+v in\n%s", v, got.Data)
				}
				checkMailbox(t, got.Data)
				attached := strings.Contains(strings.Join(v.Types, " "), "message/rfc822")
				if wanted := form == "stripped" && name != "no S/MIME" && name != "opaque, of a stranger"; wanted && !attached {
					t.Errorf("the original is not attached: %v", v.Types)
				}
			})
		}
	}
	const file = "%PDF-1.7\n%\xe2\xe3\n\x00\r\x01\r\nend"
	if signed, err = d.openssl.Sign([]byte(file), d.ids[partner], peer.Algorithms{}); err != nil {
		t.Fatal(err)
	}
	named := strings.ReplaceAll(string(signed), "smime.p7m", "plan.pdf.p7m")
	for name, entity := range map[string]string{"a signed file": named, "a signed file, encrypted": encrypt(named, "aes-256-gcm")} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, partner, alice)
			m.entity, m.headers = entity, "X-Form: readable\r\n"
			want(t, d.receive(t, m), alice, "accepted")
			got := d.arrived(t, m, alice)
			status(t, got.Data, "pass")
			if p := dovecottest.Read(t, got.Data); len(p) != 1 || p[0].Name != "plan.pdf" || p[0].Type != "application/octet-stream" || string(p[0].Content) != file {
				t.Errorf("a reader sees %+v in\n%s", p, got.Data)
			}
		})
	}
	t.Run("as it is", func(t *testing.T) {
		m := newMail(t, partner, alice)
		m.entity, m.headers = string(opaque), "X-Form: as-is\r\n"
		m.verbatim = m.bytes() // with one Date
		want(t, d.receive(t, m), alice, "accepted")
		got := d.arrived(t, m, alice)
		status(t, got.Data, "pass")
		if !bytes.HasSuffix(got.Data, m.bytes()) {
			t.Errorf("changed:\n%s", got.Data)
		}
	})
}

// binaryLetter is letterWithFile as some clients write it inside of encryption, where
// nothing limits lines and octets (RFC 8551 section 3.1.2).
const binaryLetter = "Content-Type: multipart/mixed; boundary=\"=_l\"\r\n\r\n--=_l\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n\r\nSchöne Grüße\r\n--=_l\r\nContent-Type: application/pdf; name=\"plan.pdf\"\r\n" +
	"Content-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: binary\r\n\r\n%PDF-1.7\x00\xff\r\n--=_l--\r\n"

// dressed are messages with the types, parameters and boundaries that some clients write
// around the same CMS: other names of Outlook, and the ways in which it names the digest,
// what Apple Mail and iOS write, and Outlook on the web, which calls what is encrypted by
// AES-GCM enveloped-data.
func dressed(clear, opaque string, encrypt func(entity, cipher string) string) map[string]foreignForm {
	otherNames := func(entity string) string {
		head, body, _ := strings.Cut(entity, "\r\n\r\n")
		if strings.Contains(head, "x-pkcs7") {
			return strings.ReplaceAll(head+"\r\n\r\n"+body, "application/x-pkcs7-", "application/pkcs7-")
		}
		return strings.ReplaceAll(head+"\r\n\r\n"+body, "application/pkcs7-", "application/x-pkcs7-")
	}
	_, boundary, _ := strings.Cut(clear, "boundary=\"")
	boundary, _, _ = strings.Cut(boundary, "\"")
	apple := strings.ReplaceAll(clear, boundary, "Apple-Mail=_7A1C2A5B-3C29-4A0E-9B3E-6F2D4E1B8C9D")
	micalg := func(value string) string {
		at := strings.Index(clear, "micalg=\"")
		end := at + len("micalg=\"") + strings.Index(clear[at+len("micalg=\""):], "\"") + 1
		return clear[:at] + "micalg=" + value + clear[end:]
	}
	// reheaded is a CMS object under another Content-Type.
	reheaded := func(kind, entity string) string {
		_, body, _ := strings.Cut(entity, "\r\n\r\n")
		return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n" + body
	}
	return map[string]foreignForm{
		"clear, other names":          {otherNames(clear), "pass"},
		"clear, of Apple Mail":        {apple, "pass"},
		"clear, digest as SHA256":     {otherNames(micalg("SHA256")), "pass"},
		"clear, digest as an OID":     {micalg(`"2.16.840.1.101.3.4.2.1"`), "pass"},
		"opaque, of Outlook mobile":   {reheaded("application/pkcs7-mime; smime-type=signed-data;\r\n\tname=\"smime.p7m\"", opaque), "pass"},
		"opaque, type quoted":         {reheaded("application/x-pkcs7-mime; name=smime.p7m; smime-type=\"signed-data\"", opaque), "pass"},
		"opaque, by its file name":    {reheaded("application/octet-stream; name=\"smime.p7m\"", opaque), "pass"},
		"encrypted, of iOS":           {reheaded("application/pkcs7-mime;\r\n\tsmime-type=enveloped-data;\r\n\tname=smime.p7m", encrypt(apple, "aes-256-cbc")), "pass"},
		"encrypted, of OWA":           {reheaded("application/pkcs7-mime; smime-type=enveloped-data;\r\n name=\"smime.p7m\"", encrypt(clear, "aes-256-gcm")), "pass"},
		"encrypted, without a type":   {reheaded("application/x-pkcs7-mime; name=\"smime.p7m\"", encrypt(letterWithFile, "aes-256-cbc")), "none"},
		"encrypted, by its file name": {reheaded("application/octet-stream; name=\"smime.p7m\"", encrypt(letterWithFile, "aes-256-cbc")), "none"},
		"encrypted, binary":           {encrypt(binaryLetter, "aes-256-cbc"), "none"},
	}
}

// foreignForm is what a mail program writes, and the status that it has.
type foreignForm struct{ entity, status string }

func (d *deployment) signedBy(t *testing.T, p peer.Peer, entity string) string {
	t.Helper()
	signed, err := p.Sign([]byte(entity), d.ids[partner], peer.Algorithms{})
	if err != nil {
		t.Fatal(p.Name(), err)
	}
	return string(signed)
}

func (d *deployment) encryptedBy(t *testing.T, p peer.Peer, entity string) string {
	t.Helper()
	encrypted, err := p.Encrypt([]byte(entity), d.ids[alice], peer.Algorithms{Cipher: "aes-128-cbc"})
	if err != nil {
		t.Fatal(p.Name(), err)
	}
	return string(encrypted)
}

// checkMailbox: a mailbox server lists letterWithFile in its structure, and nothing that
// a reader cannot open but the original that is attached.
func checkMailbox(t *testing.T, m []byte) {
	t.Helper()
	var text, file bool
	for _, p := range dovecottest.Read(t, m) {
		switch p.Type {
		case "text/plain":
			text = text || strings.TrimSpace(string(p.Content)) == "Schöne Grüße"
		case "application/pdf":
			file = file || p.Name == "plan.pdf" && string(p.Content) == "%PDF-1.7\x00\xff"
		case "application/pkcs7-signature", "application/x-pkcs7-signature", "message/rfc822":
		default:
			t.Errorf("part %s is %s", p.Number, p.Type)
		}
	}
	if !text || !file {
		t.Errorf("the text is there: %v, the file: %v in\n%s", text, file, m)
	}
}

// compressed is CompressedData (RFC 3274 section 1.1), which Debian's OpenSSL does not
// write.
func compressed(entity string) string {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	testpki.Must(w.Write([]byte(entity)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	octets := func(b []byte) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagOctetString, Bytes: b} }
	explicit := func(v any) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: testpki.Must(asn1.Marshal(v))}
	}
	type content struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	type compressedData struct {
		Version   int
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Content   content
	}
	data := compressedData{Content: content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, explicit(octets(z.Bytes()))}}
	data.Algorithm.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}
	object := testpki.Must(asn1.Marshal(content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, explicit(data)}))
	return "Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=\"smime.p7z\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + string(testpki.Base64(object))
}

// withListFooter is an entity as a mailing list sends it on.
func withListFooter(entity string) string {
	return "Content-Type: multipart/mixed; boundary=\"=_list\"\r\n\r\n--=_list\r\n" + strings.ReplaceAll(strings.ReplaceAll(entity, "\r\n", "\n"), "\n", "\r\n") +
		"\r\n--=_list\r\nContent-Type: text/plain\r\n\r\n_____\r\nlist@lists.example\r\n--=_list--\r\n"
}

func (d *deployment) strangersOpaque(t *testing.T) string {
	t.Helper()
	signed, err := d.openssl.Sign([]byte(letterWithFile), d.foreign, peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}
