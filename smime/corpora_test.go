package smime

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
	"github.com/smimerelay/smimerelay/smime/message"
)

// differences reads our own list: where we differ on purpose, what we say then,
// and why.
func differences(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/corpora-differences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && !strings.HasPrefix(line, "#") {
			list[f[0]] = f[1]
		}
	}
	return list
}

// corpusOptions hold every key of the corpora and trust their authorities.
func corpusOptions(t *testing.T, root string) OpenOptions {
	t.Helper()
	var ids []*certs.Identity
	files, err := filepath.Glob(filepath.Join(root, "keys", "*.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		found, err := file.ReadIdentities(f, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, found...)
	}
	// Bob's certificate and key lie apart.
	bob := filepath.Join(t.TempDir(), "bob.pem")
	var both []byte
	for _, f := range []string{"keys/rfc4134-bob.crt", "keys/rfc4134-bob.key"} {
		data, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
	}
	if err := os.WriteFile(bob, both, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{bob, filepath.Join(root, "openssl/smime-certs/smec3.pem")} {
		found, err := file.ReadIdentities(f, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, found...)
	}
	var anchors []*x509.Certificate
	for _, f := range []string{"thunderbird/smime/TestCA.pem", "thunderbird-browser/TestCA.pem", "openssl/smime-certs/smroot.pem"} {
		list, err := file.ReadCertificates(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, list...)
	}
	checker, err := path.NewValidator(path.Config{Anchors: anchors, Revocation: certs.RevocationOff})
	if err != nil {
		t.Fatal(err)
	}
	return OpenOptions{
		Keys: certs.NewKeys(nil, ids...), Checker: checker, Revocation: certs.RevocationOff,
		At: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
}

// TestCorpora opens every message of the corpora, twice, and compares the outcome
// with what its manifest expects; -v prints one line a file.
func TestCorpora(t *testing.T) {
	root := corpora.Dir(t)
	options := corpusOptions(t, root)
	known := differences(t)
	for _, folder := range []string{"thunderbird", "thunderbird-browser", "mox", "openssl", "nss-interop", "tika-pkcs7", "rfc4134"} {
		for _, e := range corpora.Manifest(t, filepath.Join(root, folder)) {
			name := folder + "/" + e.File
			raw, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if e.Expected == "n/a" || !isMessage(e, raw) {
				continue
			}
			openTwice(t, name, raw, options)
			got := corpusVerdict(raw, options)
			want := e.Expected
			if k, ok := known[name]; ok {
				want = k
				if meets(got, e.Expected) {
					t.Errorf("%s: is in the list of differences and there is none", name)
				}
			}
			fmt.Printf("corpora: %-86s %-40s %s\n", name, e.Expected, got.word)
			if want == string(certs.PolicyNo) {
				weak := options
				weak.AllowWeak = true
				if again := corpusVerdict(raw, weak); !meets(again, e.Expected) {
					t.Errorf("%s: with weak ciphers allowed, want %s, got %s", name, e.Expected, again.word)
				}
			}
			if !meets(got, want) {
				t.Errorf("%s: want %s, got %s: %+v", name, want, got.word, got.report)
			}
		}
	}
}

// isMessage leaves out keys, certificates, and bare CMS objects, which are for
// the tests of package cms.
func isMessage(e corpora.Entry, raw []byte) bool {
	if strings.HasPrefix(e.Kind, "key") || strings.HasPrefix(e.Kind, "cert") || strings.HasPrefix(e.Kind, "pem") {
		return false
	}
	return !bytes.HasPrefix(raw, []byte{0x30}) && !bytes.HasPrefix(raw, []byte("-----BEGIN")) && !bytes.HasPrefix(raw, []byte("MII"))
}

// verdict is the outcome in the words of the manifests.
type verdict struct {
	word   string
	report *Report
	opened *Opened
}

func corpusVerdict(raw []byte, o OpenOptions) verdict {
	m, err := message.Parse(raw)
	if err != nil {
		return verdict{word: "REJECT-OR-ERROR", report: &Report{Detail: err.Error()}, opened: &Opened{}}
	}
	opened := Open(context.Background(), m, o)
	r := &opened.Report
	words := []string{strings.Join(r.Layers, ">")}
	if opened.Decrypted {
		words = append(words, "decrypted")
	}
	words = append(words, string(r.Result))
	if r.Reason != "" {
		words = append(words, "("+string(r.Reason)+")")
	}
	return verdict{word: strings.Join(words, " "), report: r, opened: opened}
}

// meets compares an outcome with the words of a manifest.
func meets(v verdict, expected string) bool {
	for word := range strings.SplitSeq(expected, "+") {
		if !meetsWord(v, strings.TrimSpace(word)) {
			return false
		}
	}
	return true
}

func meetsWord(v verdict, word string) bool {
	r := v.report
	switch word {
	case "VALID":
		return r.Result == certs.Pass
	case "VALID-SIG":
		return len(r.Signers) > 0 && !r.Signers[len(r.Signers)-1].broken
	case "PARTIAL", "POLICY-INVALID":
		return r.Result != certs.Pass
	case "INVALID", "INVALID-CHAIN":
		return r.Result != certs.Pass && r.Result != certs.None
	case "OUTER-SIG-IGNORED":
		return len(r.Layers) > 1 && r.Layers[0] == "signed" &&
			(r.Layers[len(r.Layers)-1] == "signed" || r.Result == certs.None)
	case "DECRYPT-OK":
		return v.opened.Decrypted
	case "DECRYPT-ONLY-AS-ISOLATED-PART", "DECRYPT-FAIL", "PARSE (key not available)":
		return !v.opened.Decrypted
	case "PARSE":
		return v.word != "REJECT-OR-ERROR"
	case "REJECT-OR-ERROR":
		return v.word == word || r.Result == certs.PermError
	}
	return v.word == word || string(r.Result) == word
}
