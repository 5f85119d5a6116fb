package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// openssl runs the peer, and returns its standard output.
func openssl(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := tryOpenSSL(t, stdin, args...)
	if err != nil {
		t.Fatalf("openssl %v: %v", args, err)
	}
	return out
}

func tryOpenSSL(t testing.TB, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is not installed: apt-get install openssl")
	}
	cmd := exec.Command(bin, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%w: %s", err, errs.Bytes())
	}
	return out, nil
}

var content = []byte("Content-Type: text/plain\r\n\r\nThe quick brown fox.\r\n")

// signCases are all ways to sign.
var signCases = []struct {
	key, digest string
	pss         bool
	openssl     []string // options of the peer
}{
	{"rsa2048", "sha-256", false, nil},
	{"rsa2048", "sha-384", false, nil},
	{"rsa2048", "sha-512", false, nil},
	{"rsa2048", "sha-256", true, []string{"-keyopt", "rsa_padding_mode:pss"}},
	{"rsa2048", "sha-384", true, []string{"-keyopt", "rsa_padding_mode:pss"}},
	{"rsa3072", "sha-512", true, []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"}},
	{"p256", "sha-256", false, nil},
	{"p384", "sha-384", false, nil},
	{"p521", "sha-512", false, nil},
	{"p256", "sha-512", false, nil},
}

func TestSignReadByOpenSSL(t *testing.T) {
	for _, tc := range signCases {
		for _, detached := range []bool{false, true} {
			for _, ski := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/pss=%v/detached=%v/ski=%v", tc.key, tc.digest, tc.pss, detached, ski), func(t *testing.T) {
					dir := t.TempDir()
					id := newIdentity(t, tc.key)
					h, _ := DigestByName(tc.digest)
					o, err := Sign(SignRequest{Content: [][]byte{content[:10], content[10:]}, Detached: detached, Signers: []Signer{{
						Certificate: id.cert, Key: id.key, Digest: h, PSS: tc.pss, UseSKI: ski, Time: time.Now()}}})
					if err != nil {
						t.Fatal(err)
					}
					certFile, _ := id.files(t, dir)
					cmsFile, contentFile := filepath.Join(dir, "cms"), filepath.Join(dir, "content")
					writeFile(t, cmsFile, o.Bytes())
					writeFile(t, contentFile, content)
					args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", cmsFile, "-CAfile", certFile, "-purpose", "any"}
					if detached {
						args = append(args, "-content", contentFile)
					}
					if got := openssl(t, nil, args...); !bytes.Equal(got, content) {
						t.Errorf("got %q", got)
					}
				})
			}
		}
	}
}

func TestVerifyWrittenByOpenSSL(t *testing.T) {
	for _, tc := range signCases {
		for _, form := range [][]string{{"-nodetach"}, {}, {"-nodetach", "-stream"}, {"-nodetach", "-keyid"}} {
			if tc.pss && len(form) > 1 && form[1] == "-stream" {
				continue // OpenSSL 3.0 can not write PSS in a stream
			}
			t.Run(fmt.Sprintf("%s/%s/pss=%v/%v", tc.key, tc.digest, tc.pss, form), func(t *testing.T) {
				id := newIdentity(t, tc.key)
				certFile, keyFile := id.files(t, t.TempDir())
				h, _ := DigestByName(tc.digest)
				args := append([]string{"cms", "-sign", "-binary", "-outform", "DER", "-signer", certFile, "-inkey", keyFile,
					"-md", fmt.Sprintf("sha%d", h.Size()*8)}, form...)
				der := openssl(t, content, append(args, tc.openssl...)...)
				s, err := ParseSignedData(der)
				if err != nil {
					t.Fatal(err)
				}
				var o VerifyOptions
				if s.Content == nil {
					o.Content = [][]byte{content}
				} else if !bytes.Equal(s.Content.Bytes(), content) {
					t.Errorf("content %q", s.Content.Bytes())
				}
				r := s.Verify(o)
				if len(r) != 1 || r[0].Err != nil {
					t.Fatalf("results %+v", r)
				}
				if DigestName(r[0].Digest) != tc.digest || r[0].SigningTime.IsZero() || !r[0].Certificate.Equal(id.cert) {
					t.Errorf("result %+v", r[0])
				}
			})
		}
	}
}

// encryptCases are all ways to encrypt.
var encryptCases = []struct {
	key       string
	transport KeyTransport
	hash      crypto.Hash
	openssl   []string
}{
	{"rsa2048", PKCS1, 0, nil},
	{"rsa2048", OAEP, crypto.SHA1, []string{"-keyopt", "rsa_padding_mode:oaep"}},
	{"rsa2048", OAEP, crypto.SHA256, []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"}},
	{"rsa2048", OAEP, crypto.SHA384, []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha384"}},
	{"rsa2048", OAEP, crypto.SHA512, []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512"}},
	{"p256", "", 0, []string{"-keyopt", "ecdh_kdf_md:sha256"}},
	{"p384", "", 0, []string{"-keyopt", "ecdh_kdf_md:sha384"}},
	{"p521", "", 0, []string{"-keyopt", "ecdh_kdf_md:sha512"}},
	{"p521", "", 0, []string{"-keyopt", "ecdh_kdf_md:sha1"}},
}

var cipherCases = []Cipher{AES128CBC, AES192CBC, AES256CBC, AES128GCM, AES192GCM, AES256GCM}

func TestEncryptReadByOpenSSL(t *testing.T) {
	for _, tc := range encryptCases {
		for _, c := range cipherCases {
			for _, ski := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v/%s/ski=%v", tc.key, tc.transport, tc.hash, c, ski), func(t *testing.T) {
					dir := t.TempDir()
					id := newIdentity(t, tc.key)
					o, err := Encrypt(EncryptRequest{Content: [][]byte{content[:7], content[7:]}, Recipients: []*x509.Certificate{id.cert},
						Cipher: c, KeyTransport: tc.transport, OAEPHash: tc.hash, UseSKI: ski})
					if err != nil {
						t.Fatal(err)
					}
					certFile, keyFile := id.files(t, dir)
					got := openssl(t, o.Bytes(), "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", certFile, "-inkey", keyFile)
					if !bytes.Equal(got, content) {
						t.Errorf("got %q", got)
					}
				})
			}
		}
	}
}

func TestDecryptWrittenByOpenSSL(t *testing.T) {
	for _, tc := range encryptCases {
		for _, c := range cipherCases {
			for _, form := range [][]string{nil, {"-stream"}, {"-keyid"}} {
				t.Run(fmt.Sprintf("%s/%v/%s/%v", tc.key, tc.openssl, c, form), func(t *testing.T) {
					id := newIdentity(t, tc.key)
					certFile, _ := id.files(t, t.TempDir())
					args := append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-" + string(c), "-recip", certFile}, tc.openssl...)
					der := openssl(t, content, append(args, form...)...)
					for _, inPlace := range []bool{false, true} {
						e, err := ParseEnvelopedData(der)
						if err != nil {
							t.Fatal(err)
						}
						if e.Cipher != c || len(e.Recipients) != 1 || !e.Recipients[0].ID.Matches(id.cert) {
							t.Errorf("parsed %+v", e)
						}
						got, err := e.Decrypt(0, id.key, DecryptOptions{InPlace: inPlace})
						if err != nil || !bytes.Equal(got, content) {
							t.Errorf("in place %v: %q, %v", inPlace, got, err)
						}
					}
				})
			}
		}
	}
}
