package pemfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func block(kind, content string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)})
}

// read returns the contents of the blocks, joined, and the error.
func read(data []byte) (string, error) {
	var all []string
	for b, err := range Blocks(data) {
		if err != nil {
			return strings.Join(all, " "), err
		}
		all = append(all, string(b.Bytes))
	}
	return strings.Join(all, " "), nil
}

// wide encodes text in UTF-16 with its mark.
func wide(text []byte, big bool) []byte {
	var out []byte
	for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(string(text)))...) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

func TestBlocksAreReadHoweverTheFileIsWritten(t *testing.T) {
	mark := []byte("\xef\xbb\xbf")
	one, two := block("CERTIFICATE", "one"), block("X509 CRL", "two")
	plain := append(append([]byte("Bag attributes: none\n"), one...), two...)
	for name, data := range map[string][]byte{
		"plain":           plain,
		"mark":            append(mark[:3:3], plain...),
		"joined":          bytes.Join([][]byte{mark, one, mark, two}, nil),
		"CRLF":            bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")),
		"CR":              bytes.ReplaceAll(plain, []byte("\n"), []byte("\r")),
		"UTF-16 LE":       wide(plain, false),
		"UTF-16 BE":       wide(plain, true),
		"no last newline": bytes.TrimRight(plain, "\n"),
	} {
		if got, err := read(data); got != "one two" || err != nil || !Is(data) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := read([]byte{0x30, 0}); got != "" || err != nil || Is([]byte{0x30, 0}) {
		t.Errorf("DER: %q, %v", got, err)
	}
}

// TestABlockThatIsNotSeenAsOneIsAnError: what people and programs make of the lines that
// begin and end a block must not hide it.
func TestABlockThatIsNotSeenAsOneIsAnError(t *testing.T) {
	good := block("X509 CRL", "good")
	replaced := func(old, with string) []byte { return []byte(strings.ReplaceAll(string(good), old, with)) }
	lost := map[string][]byte{
		"four dashes":         good[1:],
		"en dashes":           replaced("-----", "–––––"),
		"em dash":             replaced("-----", "—-"),
		"lower case":          replaced("BEGIN X509", "begin x509"),
		"no-break space":      replaced("BEGIN ", "BEGIN\u00a0"),
		"zero width space":    replaced("-BEGIN", "-\u200bBEGIN"),
		"no blank":            replaced("BEGIN ", "BEGIN"),
		"no dashes":           replaced("-----", ""),
		"no beginning":        []byte(strings.SplitAfterN(string(good), "\n", 2)[1]),
		"UTF-16":              wide(good, false),
		"UTF-16, big":         wide(good, true),
		"UTF-16 without mark": wide(good, false)[2:],
		"big without mark":    wide(good, true)[2:],
		"another type":        replaced("X509 CRL", "X509CRL"),
		"mixed case":          replaced("X509 CRL", "x509 Crl"),
		"two blanks":          replaced("X509 CRL", "X509  CRL"),
	}
	other := block("CERTIFICATE", "other")
	for name, bad := range lost {
		for place, data := range map[string][]byte{
			"before": append(append([]byte{}, bad...), append([]byte("\n"), other...)...), "behind": append(append([]byte{}, other...), bad...),
		} {
			if got, err := read(data); err == nil {
				t.Errorf("%s, %s: %q without an error", name, place, got)
			}
		}
	}
	if got, err := read(append(wide(other, false), wide(good, false)...)); got != "other good" || err != nil {
		t.Errorf("two of UTF-16: %q, %v", got, err)
	}
	for _, note := range []string{
		"Bag Attributes\n    friendlyName: Begin of the end\n", "# BEGIN of all\n", "--- intermediates ---\n", "=====\nEnd entity\n",
		"            X509v3 Subject Key Identifier:\n", "END\n", "\x00\x00\x00",
	} {
		if got, err := read(append([]byte(note), append(good, note...)...)); got != "good" || err != nil {
			t.Errorf("%q around: %q, %v", note, got, err)
		}
	}
}

func TestTypesAreThoseOfRFC7468(t *testing.T) {
	for written, want := range map[string]string{
		"X509 CERTIFICATE": Certificate, "X.509 CERTIFICATE": Certificate, "CRL": CRL, "CMS": PKCS7, "PKCS #7 SIGNED DATA": PKCS7,
		"CERTIFICATE CHAIN": PKCS7, "EC PRIVATE KEY": "EC PRIVATE KEY",
	} {
		for b, err := range Blocks(block(written, "x")) {
			if err != nil || b.Type != want {
				t.Errorf("%s: %v, %v", written, b, err)
			}
		}
	}
}

func TestADamagedBlockIsAnError(t *testing.T) {
	good := block("CERTIFICATE", strings.Repeat("good", 20))
	for name, bad := range map[string][]byte{
		"base64":       bytes.Replace(good, []byte("Z29v"), []byte("Z2*v"), 1),
		"no end":       good[:len(good)-28],
		"another end":  bytes.Replace(good, []byte("END CERTIFICATE"), []byte("END X509 CRL"), 1),
		"indented":     append([]byte("  "), bytes.ReplaceAll(good, []byte("\n"), []byte("\n  "))...),
		"only a begin": []byte("-----BEGIN CERTIFICATE-----\n"),
	} {
		for place, data := range map[string][]byte{
			"first": append(append([]byte{}, bad...), append([]byte("\n"), good...)...),
			"last":  append(append([]byte{}, good...), bad...),
			"alone": bad,
		} {
			got, err := read(data)
			damaged, ok := errors.AsType[*damagedError](err)
			if name == "indented" && err == nil && strings.Count(got, "good") == strings.Count(string(data), "BEGIN")*20 {
				continue // read as it was meant
			}
			if !ok {
				t.Errorf("%s, %s: %q without an error (%v)", name, place, got, err)
				continue
			}
			if want := map[string]int{"first": 1, "last": 2, "alone": 1}[place]; damaged.Number != want || damaged.Type != "CERTIFICATE" {
				t.Errorf("%s, %s: %v", name, place, err)
			}
		}
	}
}

func TestPoolAndKeyPairNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	for content, words := range map[string]string{
		"":                                      "no certificate in PEM form",
		"-----BEGIN CERTIFICATE-----\nMII\n":    "block 1, CERTIFICATE",
		string(block("CERTIFICATE", "nothing")): "certificate 1",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Pool(path); err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), path) {
			t.Errorf("Pool of %q: %v", content, err)
		}
		if _, err := KeyPair(path, path); err == nil {
			t.Errorf("KeyPair of %q: no error", content)
		}
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add(block("CERTIFICATE", "one"))
	f.Add([]byte("\xff\xfe-\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_, err := read(data)
		for range Blocks(data) {
			n++
		}
		if begun := bytes.Count(Text(data), begin); err == nil && n != begun {
			t.Errorf("%d blocks of %d, and no error", n, begun)
		}
	})
}
