package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// decodeObject finds the CMS object in a file: DER, PEM, the base64 body of a
// message or bare base64.
func decodeObject(data []byte) []byte {
	if len(data) > 0 && data[0] == tagSequence {
		return data
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		} else if block.Type == "PKCS7" || block.Type == "CMS" {
			return block.Bytes
		}
	}
	for _, sep := range []string{"\r\n\r\n", "\n\n"} {
		if _, body, ok := bytes.Cut(data, []byte(sep)); ok && bytes.Contains(data[:len(data)-len(body)], []byte("Content-")) {
			data = body
			break
		}
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
	if err != nil {
		return nil
	}
	return der
}

// corporaFolders hold CMS objects; the folders of messages are for package
// smime.
var corporaFolders = []string{"asn1crypto", "bc-java-cms", "gnutls-pkcs7", "tika-pkcs7", "go-pkcs7-pem", "openssl",
	"rfc4134", "lamps-rsa-kem", "lamps-cms-kyber", "lamps-cms-ml-dsa"}

// corporaContent is the content of detached signatures.
var corporaContent = map[string]string{
	"PSSSignDataSHA1.sig": "PSSSignData.data", "PSSSignDataSHA256.sig": "PSSSignData.data", "PSSSignDataSHA512.sig": "PSSSignData.data",
	"4.3.bin": "ExContent.bin", "cert-tests/data/detached.p7b": "cert-tests/data/pkcs7-detached.txt",
}

// corporaKeys are the files with the key of encrypted objects, by folder.
var corporaKeys = map[string][]string{
	"bc-java-cms":     {"bc-java-cms/ecdh/ecc.key"},
	"openssl":         {"openssl/smime-certs/smec3.pem", "openssl/smime-certs/smrsa1.pem", "openssl/recipes/80-test_cms_data/ecdh-key.pem"},
	"rfc4134":         {"keys/rfc4134-bob.key"},
	"lamps-cms-kyber": {"lamps-cms-kyber/ML-KEM-512-seed.priv"},
}

// corporaPlain is the plaintext of encrypted objects, by folder.
var corporaPlain = map[string]string{"bc-java-cms": "bc-java-cms/ecdh/sess.txt", "rfc4134": "rfc4134/ExContent.bin", "lamps-cms-kyber": "lamps-cms-kyber/plaintext.txt"}

// corporaDifferences are the objects on which we differ from the manifest on
// purpose, and why.
var corporaDifferences = map[string]string{
	"gnutls-pkcs7/cert-tests/data/rfc4134-4.5.p7b":                           noAttributes,
	"go-pkcs7-pem/digitorus_verify_test_AppStoreReceiptFixture_1.pem":        noAttributes,
	"go-pkcs7-pem/mozilla-services_verify_test_AppStoreReceiptFixture_1.pem": noAttributes,
	"go-pkcs7-pem/smallstep_verify_test_AppStoreReceiptFixture_2.pem":        noAttributes,
	"rfc4134/4.2.bin":                           noAttributes,
	"rfc4134/4.5.bin":                           noAttributes,
	"bc-java-cms/rawsha256nonull.p7m":           noAttributes,
	"rfc4134/4.1.bin":                           noDSA,
	"rfc4134/4.10.bin":                          noDSA,
	"rfc4134/4.3.bin":                           noDSA,
	"rfc4134/4.4.bin":                           noDSA,
	"rfc4134/4.6.bin":                           noDSA,
	"rfc4134/4.7.bin":                           noDSA,
	"rfc4134/4.9.eml":                           noDSA,
	"lamps-cms-ml-dsa/mldsa44-signed-attrs.pem": elsewhere,
	"lamps-cms-ml-dsa/mldsa65-signed-attrs.pem": elsewhere,
	"lamps-cms-ml-dsa/mldsa87-signed-attrs.pem": elsewhere,
	"gnutls-pkcs7/cert-tests/data/pkcs7-cat.p7": "a Windows catalog of PKCS #7 1.5: its content is an element, which the manifest's reader of CMS cannot parse; mail takes id-data only",
	"lamps-rsa-kem/rsa-kem-enveloped.b64":       "RSA-KEM needs raw RSA, which keys behind crypto.Decrypter do not do",
}

// Reasons that several objects share.
const (
	noAttributes = "without signed attributes a signature over attributes can be presented as one over a content"
	elsewhere    = "the certificate is in RFC 9881 and not in the object: TestMLDSAVectors verifies it"
	noDSA        = "DSA is not among the algorithms of RFC 8551; the error names it"
)

func TestCorpora(t *testing.T) {
	root := corpora.Dir(t)
	count := 0
	for _, folder := range corporaFolders {
		for _, e := range corpora.Manifest(t, filepath.Join(root, folder)) {
			name := folder + "/" + e.File
			data, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Error(err)
				continue
			}
			der := decodeObject(data)
			typ, err := ContentType(der)
			if !strings.Contains("opaque signed-detached enveloped authEnveloped compressed encrypted digested signedAndEnveloped", e.Kind) || bytes.Contains(data, []byte("multipart/signed")) {
				continue
			}
			count++
			got, why := "REJECT", err
			if err == nil {
				got, why = judge(t, root, folder, e.File, typ, der)
			}
			reason, different := corporaDifferences[name]
			if agrees(e, got) == different {
				t.Errorf("%s: expected %q, got %s (%v), our reason to differ %q", name, e.Expected, got, why, reason)
			}
			t.Logf("%s: expected %s, got %s %v %s", name, e.Expected, got, why, reason)
		}
	}
	if count < 110 {
		t.Errorf("%d objects only", count)
	}
}

// agrees reports whether our verdict is what the manifest expects.
func agrees(e corpora.Entry, got string) bool {
	switch want, _, _ := strings.Cut(e.Expected, " "); want {
	case "INVALID", "REJECT-OR-ERROR":
		return got == "INVALID" || got == "REJECT" || e.Kind == "signedAndEnveloped" && got == "PARSE"
	case "DECRYPT-FAIL":
		return got == want || got == "REJECT"
	case "PARSE", "n/a", "ENCRYPTED-DATA", "NEEDS-EXTERNAL-CERT":
		return got != "REJECT"
	default:
		return got == want
	}
}

// judge reads an object and says what it is.
func judge(t *testing.T, root, folder, file string, typ Type, der []byte) (string, error) {
	switch typ {
	case TypeSigned:
		var content [][]byte
		if name := corporaContent[file]; name != "" {
			content = [][]byte{mustRead(t, filepath.Join(root, folder, name))}
		}
		return judgeSigned(der, content)
	case TypeEnveloped, TypeAuthEnveloped:
		return judgeEnveloped(t, root, folder, der)
	case TypeCompressed:
		if _, plain, err := Decompress(der, Limits{}); err != nil || len(plain) == 0 {
			return "REJECT", err
		}
	}
	return "PARSE", nil
}

func judgeSigned(der []byte, content [][]byte) (string, error) {
	s, err := ParseSignedData(der)
	switch {
	case err != nil:
		return "REJECT", err
	case s.Signers() == 0:
		return "CERTS-ONLY", nil
	case s.Content == nil && content == nil:
		return "PARSE", nil
	}
	for _, r := range s.Verify(VerifyOptions{Content: content, AllowWeak: true}) {
		if r.Err != nil {
			return "INVALID", r.Err
		}
	}
	return "VALID-SIG", nil
}

func judgeEnveloped(t *testing.T, root, folder string, der []byte) (string, error) {
	e, err := ParseEnvelopedData(der)
	if err != nil {
		return "REJECT", err
	}
	keys := corporaKeys[folder]
	if keys == nil {
		return "PARSE", nil
	}
	err = unsupported("no key")
	for _, name := range keys {
		key := readKey(t, filepath.Join(root, name))
		for i := range e.Recipients {
			plain, e := e.Decrypt(i, key, DecryptOptions{AllowWeak: true})
			if e != nil {
				err = e
				continue
			}
			if want := corporaPlain[folder]; want != "" && !bytes.Equal(bytes.TrimSpace(plain), bytes.TrimSpace(mustRead(t, filepath.Join(root, want)))) {
				return "DECRYPT-WRONG", fmt.Errorf("plaintext %q", plain)
			}
			return "DECRYPT-OK", nil
		}
	}
	return "DECRYPT-FAIL", err
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readKey reads a private key in PEM, of whatever form.
func readKey(t *testing.T, name string) crypto.PrivateKey {
	t.Helper()
	for rest := mustRead(t, name); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("no key in %s", name)
		}
		if key, err := pkix.ParsePrivateKey(block.Bytes); err == nil {
			return key
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key
		}
	}
}
