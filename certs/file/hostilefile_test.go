package file

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// wantRefused wants one clear line, soon.
func wantRefused(t *testing.T, name string, data []byte, password string, want ...string) {
	t.Helper()
	_, err := ParseContents(data, password)
	if err == nil {
		t.Errorf("%s: was read", name)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q says nothing of %q", name, err, w)
		}
	}
	if text := err.Error(); strings.ContainsAny(text, "\r\n") || len(text) > 500 || password != "" && strings.Contains(text, password) {
		t.Errorf("%s: not one clear line without secrets: %q", name, text)
	}
}

// TestTruncatedAtEveryLength cuts files of all formats: what is read of a part
// must be refused, or else whole in itself.
func TestTruncatedAtEveryLength(t *testing.T) {
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	p := newTools(t)
	p.write("id.pem", testpki.Must(id.PEM()))
	p.run("openssl", "pkcs12", "-export", "-iter", "1", "-in", "id.pem", "-out", "out.p12", "-passout", "pass:pw")
	p.run("openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile", "id.pem", "-out", "out.p7b")
	files := map[string][]byte{
		"out.p12": p.read("out.p12"), "indefinite.p12": indefinite(p.read("out.p12")),
		"out.p7b": p.read("out.p7b"), "out.pem": p.read("id.pem"), "out.der": id.Certificate.Raw,
	}
	for name, data := range files {
		whole, err := ParseContents(data, "pw")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range data {
			c, err := ParseContents(data[:n], "pw")
			if name == "out.pem" && err == nil && bytes.HasSuffix(bytes.TrimSpace(data), bytes.TrimSpace(data[:n][max(0, n-20):])) {
				continue // the last line end is missing, or the marker's
			}
			if err == nil {
				t.Fatalf("%s: the first %d of %d octets were read: %d identities", name, n, len(data), len(c.Identities))
			}
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s: %q", name, err)
			}
		}
		if len(whole.Identities)+len(whole.Certificates) == 0 {
			t.Errorf("%s: nothing in it", name)
		}
	}
}

// indefinite rewrites the outermost SEQUENCE of DER with an indefinite length.
func indefinite(der []byte) []byte {
	size := 2 + max(0, int(der[1])-0x80)
	return append(append([]byte{der[0], 0x80}, der[size:]...), 0, 0)
}

// replaced changes octets of DER, wherever they stand.
func replaced(t *testing.T, der []byte, from, to string) []byte {
	t.Helper()
	changed := bytes.ReplaceAll(der, []byte(from), []byte(to))
	if bytes.Equal(changed, der) {
		t.Fatalf("no % x found", from)
	}
	return changed
}

func TestTooMuchWorkIsRefusedUndone(t *testing.T) {
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	p := newTools(t)
	p.write("id.pem", testpki.Must(id.PEM()))
	for name, args := range map[string][]string{
		"mac":    {"pkcs12", "-export", "-keypbe", "NONE", "-certpbe", "NONE"},
		"key":    {"pkcs12", "-export", "-nomac", "-certpbe", "NONE"},
		"certs":  {"pkcs12", "-export", "-nomac", "-keypbe", "NONE"},
		"legacy": {"pkcs12", "-export", "-nomac", "-legacy"},
	} {
		p.run(append(append([]string{"openssl"}, args...), "-iter", "65537", "-macalg", "sha256", "-in", "id.pem", "-out", "out", "-passout", "pass:pw")...)
		data := p.read("out")
		c, err := ParseContents(data, "pw")
		if err != nil || len(c.Identities) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		data = twoBillion(t, data)
		wantRefused(t, name, data, "pw", "2000000000 iterations", "fewer") // else it computes for half an hour
	}
	scrypt := testpki.Must(os.ReadFile(opened(t, p, "openssl", "pkcs8", "-topk8", "-scrypt", "-scrypt_N", "16384", "-in", "id.pem", "-passout", "pass:pw")))
	block, _ := pem.Decode(scrypt)
	block.Bytes = replaced(t, block.Bytes, "\x02\x02\x40\x00", "\x02\x02\x7f\x00")
	wantRefused(t, "scrypt with N that is no power of two", pem.EncodeToMemory(block), "pw", "well-formed")
	block, _ = pem.Decode(scrypt)
	block.Bytes = replaced(t, block.Bytes, "\x02\x01\x08", "\x02\x01\x7f")
	wantRefused(t, "scrypt with 254 MiB", pem.EncodeToMemory(block), "pw", "too expensive", "r 127")
}

func opened(t *testing.T, p tools, args ...string) string {
	t.Helper()
	p.run(append(args, "-out", "opened")...)
	return filepath.Join(p.dir, "opened")
}

// twoBillion writes that in the place of each iteration count of 65537, and mends
// the lengths around.
func twoBillion(t *testing.T, der []byte) []byte {
	t.Helper()
	count := []byte{2, 3, 1, 0, 1}
	if !bytes.Contains(der, count) {
		t.Fatal("no iteration count found")
	}
	return rewrite(der, func(b []byte) []byte {
		if bytes.Equal(b, count) {
			return []byte{2, 4, 0x77, 0x35, 0x94, 0}
		}
		return b
	})
}

// rewrite changes elements of DER, also within OCTET STRINGs that hold DER.
func rewrite(der []byte, change func([]byte) []byte) []byte {
	var out []byte
	for len(der) > 0 {
		h, ok := readHeader(der)
		if !ok || h.length < 0 || h.length > len(der)-h.size {
			return append(out, der...)
		}
		element := der[:h.size+h.length]
		der = der[h.size+h.length:]
		if inner := element[h.size:]; h.constructed || element[0] == 0x04 && len(inner) > 20 && inner[0] == 0x30 {
			inner = rewrite(inner, change)
			element = append(appendTestLength(element[:1:1], len(inner)), inner...)
		}
		out = append(out, change(element)...)
	}
	return out
}

func appendTestLength(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	return append(b, 0x83, byte(n>>16), byte(n>>8), byte(n))
}

func TestBombs(t *testing.T) {
	for name, data := range map[string][]byte{
		"deep, indefinite": append([]byte{0x30, 0x80, 2, 1, 3}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)...),
		"deep, in pieces":  append([]byte{0x30, 0x80, 2, 1, 3}, bytes.Repeat([]byte{0x24, 0x80}, 4<<20)...),
		"many":             append([]byte{0x30, 0x80, 2, 1, 3}, bytes.Repeat([]byte{0x30, 0}, 4<<20)...),
		"high tags":        append([]byte{0x30, 0x80, 2, 1, 3}, bytes.Repeat([]byte{0x1f}, 4<<20)...),
		"blocks":           bytes.Repeat([]byte("-----BEGIN CERTIFICATE-----\n"), 500_000),
		"dashes":           append([]byte("-----BEGIN "), bytes.Repeat([]byte("-"), 8<<20)...),
		"zeros":            make([]byte, 8<<20),
	} {
		wantRefused(t, name, data, "")
	}
	file := filepath.Join(t.TempDir(), "big.p12")
	write(t, 0o600, nil, file)
	if err := os.Truncate(file, 100<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadContents(file, ""); err == nil || !strings.Contains(err.Error(), "big.p12") || !strings.Contains(err.Error(), "octets") {
		t.Errorf("a file of 100 MB: %v", err)
	}
}

// TestHugePrivateKeyIsNotTaken gives a key that is refused by its size alone.
func TestHugePrivateKeyIsNotTaken(t *testing.T) {
	n := new(big.Int).SetBit(big.NewInt(1), 16383, 1)
	der := testpki.Must(asn1.Marshal(struct {
		Version                   int
		N                         *big.Int
		E                         int
		D, P, Q, DP, DQ, QInverse *big.Int
	}{0, n, 65537, n, n, n, n, n, n}))
	data := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})
	wantRefused(t, "pkcs1", data, "", "8192 bits")
}

// header is the identifier and length of a DER value.
type header struct {
	size, length int
	constructed  bool
}

func readHeader(b []byte) (h header, ok bool) {
	if len(b) < 2 {
		return h, false
	}
	h = header{size: 2, length: int(b[1]), constructed: b[0]&0x20 != 0}
	if n := int(b[1]) - 0x80; n >= 0 {
		if n > 4 || len(b) < 2+n {
			return h, false
		}
		h.size, h.length = 2+n, 0
		for _, c := range b[2 : 2+n] {
			h.length = h.length<<8 | int(c)
		}
	}
	return h, true
}
