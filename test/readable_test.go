package test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

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
	for name, c := range map[string]struct{ entity, status string }{
		"opaque":                 {string(opaque), "pass"},
		"clear":                  {clear, "pass"},
		"encrypted":              {encrypt(letterWithFile, "aes-256-cbc"), "none"},
		"encrypted, opaque":      {encrypt(string(opaque), "aes-128-cbc"), "pass"},
		"encrypted, clear":       {encrypt(clear, "aes-256-gcm"), "pass"},
		"no S/MIME":              {letterWithFile, "none"},
		"opaque, of a stranger":  {d.strangersOpaque(t), "fail"},
		"opaque, encrypted, GCM": {encrypt(string(opaque), "aes-256-gcm"), "pass"},
	} {
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
				attached := strings.Contains(strings.Join(v.Types, " "), "message/rfc822")
				if wanted := form == "stripped" && name != "no S/MIME" && name != "opaque, of a stranger"; wanted && !attached {
					t.Errorf("the original is not attached: %v", v.Types)
				}
			})
		}
	}
	t.Run("as it is", func(t *testing.T) {
		m := newMail(t, partner, alice)
		m.entity, m.headers = string(opaque), "X-Form: as-is\r\n"
		want(t, d.receive(t, m), alice, "accepted")
		got := d.arrived(t, m, alice)
		status(t, got.Data, "pass")
		if !bytes.HasSuffix(got.Data, m.bytes()) {
			t.Errorf("changed:\n%s", got.Data)
		}
	})
}

func (d *deployment) strangersOpaque(t *testing.T) string {
	t.Helper()
	signed, err := d.openssl.Sign([]byte(letterWithFile), d.foreign, peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}
