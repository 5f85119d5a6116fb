package smime

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestVectorsAreRead: of each vector the header that its author wrote is in the message that
// is delivered, once, as far as it is protected; what the RFC's own fields say stays inside.
func TestVectorsAreRead(t *testing.T) {
	w := newWorld(t)
	alice := &vectorSigner{identity: w.issue("alice@smime.example", "rsa2048")}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			opened := w.open(alice.message(t, &v, v.outer(), w.bob.Certificate), w.bob)
			layers, result := map[vectorKind]string{opaqueVector: "signed", clearVector: "signed", encryptedVector: "enveloped signed"}[v.form], certs.Pass
			if v.form == plainVector {
				result = certs.None
			}
			if r := opened.Report; r.Result != result || strings.Join(r.Layers, " ") != layers || opened.Decrypted != (v.form == encryptedVector) {
				t.Errorf("%+v", r)
			}
			header := v.outer()
			if v.scheme == hpScheme {
				header = v.header()
			}
			for _, f := range header {
				if all := opened.Message.All(f.name); len(all) != 1 || all[0] != f.value {
					t.Errorf("%s is %q, want %q", f.name, all, f.value)
				}
			}
			if opened.Message.Has("HP-Outer") {
				t.Errorf("\n%s", opened.Message.Header())
			}
			if got := strings.Join(opened.Confidential(), " "); got != v.confidential() || opened.HidSubject() != strings.Contains(got, "Subject") {
				t.Errorf("confidential is %q, want %q", got, v.confidential())
			}
			protected := v.scheme == hpScheme && v.form != encryptedVector || v.scheme == rfc8551Scheme && v.form != encryptedVector
			if got := opened.Protects("Subject", "From", "To", "Date", "Message-ID"); v.form != encryptedVector && got != protected {
				t.Errorf("the header is protected: %v, want %v", got, protected)
			}
		})
	}
}

// confidential are the names of the fields that differ outside.
func (v *vector) confidential() string {
	outer := v.outer()
	var names []string
	for i, f := range v.header() {
		if f != outer[i] {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}

// TestVectorsAreReadable: for readers without S/MIME the texts are those of the author,
// without the legacy display, which the header says; where the signature is kept it stays.
func TestVectorsAreReadable(t *testing.T) {
	w := newWorld(t)
	alice := &vectorSigner{identity: w.issue("alice@smime.example", "rsa2048")}
	for _, v := range vectors {
		if !v.display {
			continue
		}
		opened := w.open(alice.message(t, &v, v.outer(), w.bob.Certificate), w.bob)
		without := v
		without.display = false
		for _, strip := range []bool{false, true} {
			m, err := opened.Readable(strip)
			if err != nil {
				t.Fatal(err)
			}
			texts := []*message.Part{m.Root()}
			if v.complex() {
				texts = m.Root().Children[0].Children
			}
			for _, p := range texts {
				want := crlf(strings.Replace(without.text(), folded(without.sentence()), folded(v.sentence()), 1))
				if p.MediaType == "text/html" {
					_, rest, _ := strings.Cut(crlf(v.html()), "</div>")
					want = "<html><head><title></title></head><body>\r\n" + rest
				}
				if got := strings.TrimSuffix(string(p.Content()), "\r\n"); got != want || p.Params["hp-legacy-display"] != "" {
					t.Errorf("%s, %s, strip %v: %v\n%s\nwant\n%s", v.name, p.MediaType, strip, p.Params, got, want)
				}
			}
			if v.complex() && !strings.Contains(string(m.Bytes()), crlf(vectorPNG)) || m.Get("Subject") != v.name {
				t.Errorf("%s:\n%s", v.name, m.Bytes())
			}
		}
		if kept := signedContent(t, opened.Message); string(kept.Bytes()) != v.payload() {
			t.Errorf("%s: the signature is about\n%s", v.name, kept.Bytes())
		}
	}
}

// TestSignedHeaderIsReadable: where the signature is removed the header that it covered is
// delivered, not what became of it under way.
func TestSignedHeaderIsReadable(t *testing.T) {
	w := newWorld(t)
	alice := &vectorSigner{identity: w.issue("alice@smime.example", "rsa2048")}
	for _, v := range vectors {
		if v.form != opaqueVector && v.form != clearVector {
			continue
		}
		changed := v.outer()
		changed[0].value, changed[3].value = "[list] other", "List <list@example.org>"
		opened := w.open(alice.message(t, &v, changed, nil))
		m, err := opened.Readable(true)
		if err != nil {
			t.Fatal(err)
		}
		want := changed
		if v.scheme == hpScheme {
			want = v.header()
		}
		for _, f := range want {
			if all := m.All(f.name); len(all) != 1 || all[0] != f.value {
				t.Errorf("%s: %s is %q, want %q", v.name, f.name, all, f.value)
			}
		}
		if kept := opened.Message.Get("Subject"); kept != "[list] other" {
			t.Errorf("%s: delivered with its signature the subject is %q", v.name, kept)
		}
	}
}

// TestVectorsChanged: what is made of a vector under way, or by a sender who breaks the rules.
func TestVectorsChanged(t *testing.T) {
	w := newWorld(t)
	alice := &vectorSigner{identity: w.issue("alice@smime.example", "rsa2048")}
	find := func(name string) *vector {
		for _, v := range vectors {
			if v.name == name {
				return &v
			}
		}
		t.Fatalf("no vector %q", name)
		return nil
	}
	with := func(v *vector, name, value string) []vectorField {
		list := v.outer()
		for i := range list {
			if list[i].name == name {
				list[i].value = value
			}
		}
		return list
	}
	for name, tt := range map[string]struct {
		vector, field, value string
		result               certs.Result
		reason               certs.Reason
		subject              string // that is delivered
		confidential         string
	}{
		"another From, clear":     {"smime-multipart-hp", "From", "Alice <alice@example.net>", certs.Fail, certs.WrongAddress, "smime-multipart-hp", ""},
		"another From, opaque":    {"smime-one-part-complex-hp", "From", "Mallory <mallory@smime.example>", certs.Fail, certs.WrongAddress, "smime-one-part-complex-hp", ""},
		"another From, encrypted": {"smime-signed-enc-hp-baseline", "From", "Mallory <mallory@smime.example>", certs.Fail, certs.WrongAddress, "[...]", "Subject"},
		"From without its name":   {"smime-signed-enc-hp-baseline", "From", "ALICE@SMIME.example", certs.Pass, "", "smime-signed-enc-hp-baseline", "Subject"},
		"another subject":         {"smime-signed-enc-hp-shy", "Subject", "urgent", certs.Pass, "", "smime-signed-enc-hp-shy", "Subject From To Date"},
		// A server shows what was hidden: the author still hid it, as the signature says.
		"the subject in the clear": {"smime-signed-enc-hp-baseline", "Subject", "smime-signed-enc-hp-baseline", certs.Pass, "", "smime-signed-enc-hp-baseline", "Subject"},
		// Here nothing but the header outside tells.
		"the same, wrapped": {"smime-enc-signed-complex-rfc8551hp-baseline", "Subject", "smime-enc-signed-complex-rfc8551hp-baseline", certs.Pass, "", "smime-enc-signed-complex-rfc8551hp-baseline", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := find(tt.vector)
			opened := w.open(alice.message(t, v, with(v, tt.field, tt.value), w.bob.Certificate), w.bob)
			if r := opened.Report; r.Result != tt.result || r.Reason != tt.reason {
				t.Errorf("%+v", r)
			}
			if all := opened.Message.All("Subject"); len(all) != 1 || all[0] != tt.subject {
				t.Errorf("the subject is %q, want %q", all, tt.subject)
			}
			if got := strings.Join(opened.Confidential(), " "); got != tt.confidential {
				t.Errorf("confidential is %q, want %q", got, tt.confidential)
			}
		})
	}
}

// TestPayloadsThatPromiseMore: the parameter means nothing without the encryption it speaks
// of, with another value, or elsewhere (sections 2.1.1, 4.1).
func TestPayloadsThatPromiseMore(t *testing.T) {
	w := newWorld(t)
	const header = "Subject: real\r\nFrom: alice@example.org\r\nHP-Outer: Subject: [...]\r\nHP-Outer: X-Title: real\r\nHP-Outer: From: alice@example.org\r\n"
	for name, tt := range map[string]struct {
		kind               string
		subject            string // that is delivered, where it is encrypted
		protects, confides bool   // where it is signed; where it is encrypted
	}{
		"cipher":            {`text/plain; hp="cipher"`, "real", true, true},
		"clear":             {`text/plain; hp="clear"`, "hello", true, false},
		"another value":     {`text/plain; hp="secret"`, "hello", false, false},
		"in a part of it":   {"multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; hp=\"cipher\"", "hello", false, false},
		"none, and wrapped": {"message/rfc822\r\n\r\n" + header + `Content-Type: multipart/mixed; boundary=b; hp="cipher"`, "hello", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			payload := header + "Content-Type: " + tt.kind + "\r\n\r\nmeet at ten\r\n--b--\r\n"
			encrypted := w.open(seal(t, w, mail(t, text), []byte(payload)), w.bob)
			if all := encrypted.Message.All("Subject"); len(all) != 1 || all[0] != tt.subject || encrypted.HidSubject() != tt.confides {
				t.Errorf("the subject is %q, want %q; confidential is %q", all, tt.subject, encrypted.Confidential())
			}
			// Outside it has the same subject as in the payload, so that this is protected.
			m := parse(t, "From: alice@example.org\r\nSubject: real\r\n"+signedEntity(t, w, payload))
			signed := w.open(m)
			if signed.Protects("Subject") != tt.protects || signed.HidSubject() || signed.Decrypted {
				t.Errorf("protected: %v, want %v; confidential is %q", signed.Protects("Subject"), tt.protects, signed.Confidential())
			}
		})
	}
}
