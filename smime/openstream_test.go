package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// largeMessages are messages of which most is left out in a stream.
var largeMessages = map[string]string{
	"text":       "Content-Type: text/plain\n\n" + strings.Repeat("a line of the text, and nothing else\n", 9000),
	"attachment": "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhi\n--b\nContent-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 4000) + "--b--\n",
	"forwarded":  "Content-Type: message/rfc822\n\nSubject: inside\nContent-Type: text/plain\n\n" + strings.Repeat("a line of the text, and nothing else\n", 9000),
	"8-bit":      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + strings.Repeat("eine Zeile über nichts\n", 15000),
	"fragile":    "Content-Type: text/plain\n\n" + strings.Repeat("a line with a blank at its end \n", 9000),
	"long line":  "Content-Type: text/plain\n\n" + strings.Repeat("a word and ", 50_000) + "\n",
	"long, 8-bit": "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
		strings.Repeat(strings.Repeat("ein Wort über ", 500)+"\n", 60) + "--b--\n",
	"binary":           "Content-Type: a/b\nContent-Transfer-Encoding: binary\n\n" + strings.Repeat("\x01\xff\xfe--", 100_000),
	"quoted":           "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("gr=C3=BC=C3=9Fe =\nund mehr \n", 15_000),
	"long base64":      "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 100_000) + "\n",
	"no base64":        "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("Q*JD", 100_000) + "\n",
	"forwarded, 8-bit": "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inside\n\n" + strings.Repeat("eine Zeile über nichts\n", 15_000),
	"no type, 8-bit":   "\n" + strings.Repeat("eine Zeile über nichts\n", 15_000),
	"no type, Latin-1": "\n" + strings.Repeat("eine Zeile \xfcber nichts\n", 15_000),
	"preamble":         "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("a line of the text, and nothing else\n", 9000) + "--b\n\nhi\n--b--\n",
	"no type":          "\n" + strings.Repeat("a line of the text, and nothing else\n", 9000),
	"NUL":              "Content-Type: text/plain\n\n" + strings.Repeat("a line of the text, and nothing else\n", 9000) + "\x00\n",
	"two types":        "Content-Type: text/plain\nContent-Type: text/html\n\n" + strings.Repeat("a line of the text, and nothing else\n", 9000),
}

// spools makes files, and fails at the one with this number.
type spools struct {
	dir  string
	fail int
	made []*os.File
}

var errNoRoom = errors.New("no room")

func (s *spools) next() (Spool, error) {
	if s.fail--; s.fail == 0 {
		return nil, errNoRoom
	}
	f, err := os.Create(filepath.Join(s.dir, fmt.Sprint(len(s.made))))
	s.made = append(s.made, f)
	return f, err
}

func (s *spools) close() {
	for _, f := range s.made {
		f.Close()
	}
}

// sameAsOpen checks that a message is opened as a stream as it is in memory.
func sameAsOpen(t *testing.T, name string, raw []byte, o OpenOptions) {
	t.Helper()
	m, err := message.Parse(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	want := Open(t.Context(), m, o)
	files := &spools{dir: t.TempDir()}
	defer files.close()
	got, err := OpenStream(t.Context(), bytes.NewReader(raw), int64(len(raw)), o, files.next)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if want.Report.Reason == ReasonMalformed { // at another offset
		got.Report.Detail, want.Report.Detail = "", ""
	}
	if got.Decrypted != want.Decrypted || !reflect.DeepEqual(got.Report, want.Report) {
		t.Errorf("%s: %+v\nwant %+v", name, got.Report, want.Report)
	}
	var delivered bytes.Buffer
	if _, err := got.WriteTo(&delivered); err != nil || !bytes.Equal(delivered.Bytes(), want.Message.Bytes()) {
		t.Errorf("%s: another message, %d octets and not %d (%v)", name, delivered.Len(), want.Message.Size(), err)
	}
}

// What is opened as a stream has the report, and is the message, of what is opened in
// memory: whole, with LF line ends, and damaged.
func TestOpenStream(t *testing.T) {
	w := newWorld(t)
	chained := *w.alice
	for range 10 {
		chained.Chain = append(chained.Chain, w.issue("alice@example.org", "rsa2048").Certificate)
	}
	o := w.options(w.alice)
	steps := map[string]func(m *message.Message) *message.Message{
		"clear":        func(m *message.Message) *message.Message { return w.sign(t, m, w.alice, SignOptions{}) },
		"clear, chain": func(m *message.Message) *message.Message { return w.sign(t, m, &chained, SignOptions{}) },
		"opaque":       func(m *message.Message) *message.Message { return w.sign(t, m, w.alice, SignOptions{Opaque: true}) },
		"cbc":          func(m *message.Message) *message.Message { return encrypt(t, m, EncryptOptions{}, w.alice) },
		"gcm": func(m *message.Message) *message.Message {
			return encrypt(t, m, EncryptOptions{Cipher: cms.AES256GCM}, w.bob, w.alice)
		},
		"not for alice": func(m *message.Message) *message.Message { return encrypt(t, m, EncryptOptions{}, w.bob) },
		"hidden": func(m *message.Message) *message.Message {
			return encrypt(t, w.sign(t, m, w.alice, SignOptions{Headers: HeadersCipher}), EncryptOptions{}, w.alice)
		},
	}
	for name, text := range largeMessages {
		for _, way := range [][]string{
			{}, {"clear"}, {"clear, chain"}, {"opaque"}, {"cbc"}, {"gcm"}, {"not for alice"}, {"hidden"}, {"clear", "cbc"}, {"opaque", "gcm"},
			{"clear", "gcm", "clear"}, {"clear", "opaque"}, {"clear", "clear"}, {"cbc", "clear"}, {"cbc", "gcm"},
		} {
			m := mail(t, text)
			often := name == "text" || name == "attachment"
			if name == "two types" && len(way) > 0 || !often && len(way) > 1 {
				continue
			}
			for _, step := range way {
				m = steps[step](m)
			}
			what := fmt.Sprint(name, " ", way)
			raw := bytes.Clone(m.Bytes())
			sameAsOpen(t, what, raw, o)
			if !often {
				continue
			}
			sameAsOpen(t, what+", LF", bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), o)
			raw[len(raw)/2] ^= 1
			sameAsOpen(t, what+", damaged", raw, o)
			sameAsOpen(t, what+", cut off", raw[:len(raw)/3], o)
		}
	}
}

// A header field that starts as a delimiter does makes no reading of a message the only one.
func TestOpenStreamHyphens(t *testing.T) {
	w := newWorld(t)
	m := w.sign(t, mail(t, largeMessages["text"]), w.alice, SignOptions{})
	boundary := m.Root().Params["boundary"]
	forged := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("text\r\n", 1000) + "=2D-" + boundary + "\r\n\r\nforged\r\n" + strings.Repeat("text\r\n", 10) + "--" + boundary
	for _, fields := range []string{"", "--x: y\r\n", "--" + boundary + ": y\r\n", "--x : y\r\n"} {
		raw := strings.Replace(string(m.Bytes()), "--"+boundary, forged, 1)
		raw = strings.Replace(raw, "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n"+fields+"\r\n", 1)
		if got := w.open(parse(t, raw)).Report; got.Result != certs.PermError {
			t.Errorf("%q: %+v", fields, got)
		}
		sameAsOpen(t, fields, []byte(raw), w.options(w.alice))
	}
}

// A large content without signed attributes is verified, where that is allowed.
func TestOpenStreamBare(t *testing.T) {
	w := newWorld(t)
	text := strings.Repeat("a line of the text, and nothing else\r\n", 9000)
	for _, form := range []string{"-stream", "-nodetach"} {
		m := opensslOf(t, w.alice, text, "-sign", "-noattr", form)
		o := w.options()
		expect(t, Open(t.Context(), m, o), certs.PolicyNo, ReasonBare)
		for _, o.AllowBare = range []bool{false, true} {
			sameAsOpen(t, form, m.Bytes(), o)
			sameAsOpen(t, form+", LF", bytes.ReplaceAll(m.Bytes(), []byte("\r\n"), []byte("\n")), o)
			changed := bytes.Clone(m.Bytes())
			changed[len(changed)/2] ^= 1
			sameAsOpen(t, form+", changed", changed, o)
		}
		expect(t, Open(t.Context(), m, o), certs.Pass, ReasonBare)
	}
}

// What has no layer that can be read as a stream, or none at all, is read all the same.
func TestOpenStreamInMemory(t *testing.T) {
	w := newWorld(t)
	text := "From: alice@example.org\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("line\n", 50_000)
	sameAsOpen(t, "LF inside", encrypt(t, parse(t, text), EncryptOptions{Cipher: cms.AES128GCM}, w.alice).Bytes(), w.options(w.alice))
	object, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{[]byte(strings.Repeat("no header\r\n", 30_000))}, Recipients: []*x509.Certificate{w.alice.Certificate}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"no header": object.Bytes(), "no object": []byte(strings.Repeat("x", 300_000)), "other type": append([]byte("0\x80\x06\x03\x2a\x03\x04"), make([]byte, 300_000)...)} {
		d, err := parse(t, "From: alice@example.org\r\n\r\n").Draft(message.Change{Entity: &message.Entity{
			Fields: objectFields("enveloped-data"), Body: []message.Piece{message.Base64(message.Octets(content))}}})
		if err != nil {
			t.Fatal(err)
		}
		var raw bytes.Buffer
		if _, err := d.WriteTo(&raw); err != nil {
			t.Fatal(err)
		}
		sameAsOpen(t, name, raw.Bytes(), w.options(w.alice))
	}
}

// What SMTP does not carry as it is inside of encryption is changed as a stream in the way
// that it is in memory.
func TestOpenStreamInside(t *testing.T) {
	w := newWorld(t)
	const line = "a line of the text, and nothing else"
	clear := string(w.sign(t, mail(t, largeMessages["text"]), w.alice, SignOptions{}).Bytes())
	lines, long := strings.Repeat(line+"\n", 9000), strings.Repeat(line, 9000)
	for name, entity := range map[string]string{
		"LF":            "Content-Type: text/plain\n\n" + lines,
		"bare CR":       "Content-Type: text/plain\r\n\r\n" + strings.Repeat(line+"\r", 9000),
		"both":          "Content-Type: text/plain\r\n\r\n" + strings.Repeat(line+"\r\n"+line+"\n", 9000),
		"long line":     "Content-Type: text/plain\r\n\r\n" + long,
		"8-bit":         "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("über ", 90_000) + "\n",
		"dense":         "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("ü", 90_000),
		"NUL":           "Content-Type: text/plain\r\n\r\n" + lines + "\x00",
		"data":          "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("\x00\xff\n\r", 90_000),
		"text of data":  "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat(line+"\r\n", 9000),
		"base64":        "Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 90_000),
		"quoted":        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("=41=\n", 90_000),
		"long quoted":   "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("=41", 90_000),
		"odd encoding":  "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\n" + long,
		"parts":         "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + lines + "--b\nContent-Type: text/plain\n\n" + long + "\n--b--\n",
		"preamble":      "Content-Type: multipart/mixed; boundary=b\n\n" + lines + "--b\n\n" + long + "\n--b--\n",
		"forwarded":     "Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/plain\n\n" + long + "\n",
		"partial":       "Content-Type: message/partial; id=x; number=1\n\n" + lines,
		"signed":        clear,
		"signed, LF":    strings.ReplaceAll(clear, "\r\n", "\n"),
		"signed, long":  strings.Replace(clear, line, long, 1),
		"no type":       "Subject: x\n\n" + lines,
		"no type, long": "Subject: x\r\n\r\n" + long + "ü",
	} {
		object, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{[]byte(entity)}, Recipients: []*x509.Certificate{w.alice.Certificate}})
		if err != nil {
			t.Fatal(err)
		}
		sameAsOpen(t, name, objectMessage(t, "enveloped-data", object.Bytes()), w.options(w.alice))
	}
}

// The character set of text that is read in pieces is that of the whole.
func TestCharsetOfPieces(t *testing.T) {
	for _, text := range []string{"", "text", "\x00", "ü", "über", "€uro", "😀", "x😀y€", "\xfc", "\xc3", "x\xf0\x9f", "\xf0\x9f\x98x", "ü\xfc", "\x80", "ü\x80\x80\x80\x80", "\xff\xfeü", "\xed\xa0\x80"} {
		for size := 1; size <= 6; size++ {
			var u utf8Scan
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := u.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if got, want := u.charset(), charset([]byte(text)); got != want {
				t.Errorf("%q in pieces of %d: %s, want %s", text, size, got, want)
			}
		}
	}
}

// What cannot be read or written is an error, and no verdict.
func TestOpenStreamFailures(t *testing.T) {
	w := newWorld(t)
	raw := encrypt(t, w.sign(t, mail(t, largeMessages["text"]), w.alice, SignOptions{Opaque: true}), EncryptOptions{}, w.alice).Bytes()
	for n := range 3 {
		files := &spools{dir: t.TempDir(), fail: n + 1}
		if _, err := OpenStream(t.Context(), bytes.NewReader(raw), int64(len(raw)), w.options(w.alice), files.next); !errors.Is(err, errNoRoom) {
			t.Errorf("spool %d: %v", n, err)
		}
		files.close()
	}
	files := &spools{dir: t.TempDir()}
	defer files.close()
	if _, err := OpenStream(t.Context(), &breaking{raw, 1}, int64(len(raw)), w.options(w.alice), files.next); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that breaks: %v", err)
	}
	if _, err := OpenStream(t.Context(), strings.NewReader("none\r\n\r\n"), 8, OpenOptions{}, nil); !errors.Is(err, message.ErrMalformed) {
		t.Errorf("no message: %v", err)
	}
}

// breaking can be read so many times to its end.
type breaking struct {
	raw  []byte
	left int
}

func (b *breaking) ReadAt(p []byte, off int64) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := bytes.NewReader(b.raw).ReadAt(p, off)
	if off+int64(n) == int64(len(b.raw)) {
		b.left--
	}
	return n, err
}

// What is signed as a stream is what is signed in memory.
func TestSignStream(t *testing.T) {
	w := newWorld(t)
	for name, text := range largeMessages {
		for _, opaque := range []bool{false, true} {
			for _, ends := range []string{"\r\n", "\n"} {
				what := fmt.Sprintf("%s, opaque %v, %q", name, opaque, ends)
				raw := bytes.ReplaceAll(mail(t, text).Bytes(), []byte("\r\n"), []byte(ends))
				o := SignOptions{Opaque: opaque, Time: w.now}
				want, wantErr := Sign(parse(t, string(raw)), w.alice, o)
				var signed bytes.Buffer
				err := SignStream(&signed, bytes.NewReader(raw), int64(len(raw)), w.alice, o)
				if (err == nil) != (wantErr == nil) {
					t.Errorf("%s: %v, want %v", what, err, wantErr)
				}
				if err != nil {
					continue
				}
				got := w.open(parse(t, signed.String()))
				if got.Report.Result != certs.Pass {
					t.Errorf("%s: %+v", what, got.Report)
				}
				if wanted := w.open(want); !bytes.Equal(content(got), content(wanted)) || got.Message.Root().MediaType != want.Root().MediaType {
					t.Errorf("%s: another content, %d octets and not %d", what, len(content(got)), len(content(wanted)))
				}
			}
		}
	}
}

// content is what is inside of all layers.
func content(o *Opened) []byte {
	if o.payload == nil {
		return nil
	}
	return o.payload.Bytes()
}

// A key that cannot sign, and a message that cannot be read or written, are errors.
func TestSignStreamFailures(t *testing.T) {
	w := newWorld(t)
	raw := mail(t, largeMessages["text"]).Bytes()
	for _, opaque := range []bool{false, true} {
		if err := SignStream(io.Discard, bytes.NewReader(raw), int64(len(raw)), &certs.Identity{Certificate: w.bob.Certificate, Key: w.alice.Key}, SignOptions{Opaque: opaque}); !errors.Is(err, ErrIdentity) {
			t.Errorf("another key: %v", err)
		}
		for n := range 3 {
			if err := SignStream(io.Discard, &breaking{raw, n}, int64(len(raw)), w.alice, SignOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a source that breaks at %d: %v", n, err)
			}
		}
	}
}
