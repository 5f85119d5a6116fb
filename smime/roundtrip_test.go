package smime

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// meaning is what a reader gets out of a message: for each leaf its type, its
// parameters and its decoded content after canonical line ends.
func meaning(t testing.TB, p *message.Part) []string {
	t.Helper()
	var leaves []string
	p.Walk(func(p *message.Part) bool {
		if len(p.Children) > 0 {
			leaves = append(leaves, p.MediaType)
			return true
		}
		data, err := p.Decode()
		if err != nil {
			data = p.Content()
		}
		params := maps.Clone(p.Params)
		delete(params, "charset") // a missing one is written explicitly
		leaves = append(leaves, strings.Join([]string{
			p.MediaType, params["format"], params["delsp"], params["name"],
			p.Get("Content-ID"), p.Get("Content-Disposition"), string(message.Canonical(data)),
		}, "|"))
		return true
	})
	return leaves
}

func sameMeaning(t testing.TB, got, want *message.Part) {
	t.Helper()
	g, w := meaning(t, got), meaning(t, want)
	if len(g) != len(w) {
		t.Fatalf("%d parts, want %d: %q, want %q", len(g), len(w), g, w)
	}
	for i := range g {
		if g[i] != w[i] {
			t.Errorf("part %d is %q, want %q", i, g[i], w[i])
		}
	}
}

func TestSignClear(t *testing.T) {
	w := newWorld(t)
	for name, text := range samples {
		t.Run(name, func(t *testing.T) {
			m := mail(t, "Bcc: secret@example.org\nResent-Bcc: secret@example.org\n"+text)
			signed := w.sign(t, m, w.alice, SignOptions{})
			if signed.Root().MediaType != "multipart/signed" {
				t.Fatalf("signed as %s", signed.Root().MediaType)
			}
			if !message.ScanLines(signed.Bytes()).ASCII || bytes.Contains(signed.Bytes(), []byte("secret")) {
				t.Errorf("8-bit, or with Bcc: %q", signed.Bytes())
			}
			signed.Root().Children[0].Walk(func(p *message.Part) bool {
				if len(p.Children) == 0 && !travels(p.Content(), safeLine) {
					t.Errorf("a leaf does not travel: %q", p.Content())
				}
				return true
			})
			sameMeaning(t, signed.Root().Children[0], m.Root())
			opened := w.open(signed)
			if opened.Report.Result != certs.Pass || opened.Message != signed {
				t.Errorf("%+v", opened.Report)
			}
		})
	}
}

func TestSignFallsBackToOpaque(t *testing.T) {
	w := newWorld(t)
	for name, text := range unsafeSamples {
		t.Run(name, func(t *testing.T) {
			m := mail(t, text)
			signed := w.sign(t, m, w.alice, SignOptions{})
			if signed.Root().MediaType != "application/pkcs7-mime" {
				t.Fatalf("signed as %s", signed.Root().MediaType)
			}
			if !travels(signed.Body(), safeLine) {
				t.Error("an opaque signature that does not travel")
			}
			if opened := w.open(signed); opened.Report.Result != certs.Pass {
				t.Errorf("%+v", opened.Report)
			}
		})
	}
}

func TestEncryptRoundTrip(t *testing.T) {
	w := newWorld(t)
	all := maps.Clone(samples)
	maps.Copy(all, unsafeSamples)
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			m := mail(t, "Bcc: secret@example.org\nResent-Bcc: secret@example.org\n"+text)
			for _, cipher := range []cms.Cipher{"", cms.AES256GCM} {
				encrypted := encrypt(t, m, EncryptOptions{Cipher: cipher}, w.alice, w.bob)
				if !travels(encrypted.Body(), safeLine) || bytes.Contains(encrypted.Bytes(), []byte("secret")) {
					t.Fatalf("does not travel, or with Bcc: %q", encrypted.Bytes())
				}
				for _, id := range []*certs.Identity{w.alice, w.bob} {
					opened := w.open(encrypted, id)
					if !opened.Decrypted || opened.Report.Result != certs.None {
						t.Fatalf("%+v", opened.Report)
					}
					sameMeaning(t, opened.Message.Root(), m.Root())
				}
			}
		})
	}
}

func TestSignThenEncrypt(t *testing.T) {
	w := newWorld(t)
	m := mail(t, samples["multipart"])
	for _, opaque := range []bool{false, true} {
		signed := w.sign(t, m, w.alice, SignOptions{Opaque: opaque})
		encrypted := encrypt(t, signed, EncryptOptions{}, w.bob)
		if k := Inspect(encrypted); k.Signed || !k.Encrypted {
			t.Errorf("kind %+v", k)
		}
		opened := w.open(encrypted, w.bob)
		r := opened.Report
		if r.Result != certs.Pass || !opened.Decrypted || len(r.Layers) != 2 || r.Layers[0] != "enveloped" || r.Layers[1] != "signed" {
			t.Errorf("%+v", r)
		}
		// The reader can check the signature again.
		if again := w.open(opened.Message); again.Report.Result != certs.Pass {
			t.Errorf("the signature did not survive: %+v", again.Report)
		}
	}
}

// What is outside stays: everything but the fields of the entity, and
// MIME-Version once.
func TestHeaderOfSigned(t *testing.T) {
	w := newWorld(t)
	m := mail(t, "MIME-Version: 1.0\nmime-version: 1.0\nX-A: 1\nCONTENT-type: text/plain\nContent-Language: de\nReceived: a\n b\n\nx\n")
	for _, got := range []*message.Message{
		w.sign(t, m, w.alice, SignOptions{}), w.sign(t, m, w.alice, SignOptions{Opaque: true}), encrypt(t, m, EncryptOptions{}, w.bob),
	} {
		if n := len(got.All("MIME-Version")); n != 1 {
			t.Errorf("MIME-Version %d times", n)
		}
		if len(got.All("Content-Type")) != 1 || got.Has("Content-Language") {
			t.Errorf("header %q", got.Header())
		}
		for _, name := range []string{"From", "To", "Subject", "X-A", "Received"} {
			if got.Get(name) != m.Get(name) {
				t.Errorf("%s is %q", name, got.Get(name))
			}
		}
	}
}
