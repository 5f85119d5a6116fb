package cms

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// What the peer can write beside the matrix: other forms, and what is weak or
// refused.
func TestFormsWrittenByOpenSSL(t *testing.T) {
	id, dir := newIdentity(t, "p256"), t.TempDir()
	certFile, keyFile := id.files(t, dir)
	rsaCert, rsaKey := newIdentity(t, "rsa2048").files(t, dir)
	sign := []string{"cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", certFile, "-inkey", keyFile}
	for _, tc := range []struct {
		name    string
		args    []string
		want    error
		signers int
	}{
		{"cades", append(sign, "-cades"), nil, 1},
		{"two signers", append(sign, "-signer", rsaCert, "-inkey", rsaKey), nil, 2},
		{"no capabilities", append(sign, "-nosmimecap"), nil, 1},
		{"pkcs7", []string{"smime", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", rsaCert, "-inkey", rsaKey}, nil, 1},
		{"no attributes", append(sign, "-noattr"), ErrAttributes, 1},
		{"no certificates", append(sign, "-nocerts"), ErrNoCertificate, 1},
		{"sha-1", append(sign, "-md", "sha1"), ErrWeak, 1},
		{"sha-224", append(sign, "-md", "sha224"), ErrWeak, 1},
		{"other content type", append(sign, "-econtent_type", "1.2.3.4"), nil, 1},
	} {
		s, err := ParseSignedData(openssl(t, content, tc.args...))
		if err != nil || s.Signers() != tc.signers {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for i, r := range s.Verify(VerifyOptions{}) {
			if !errors.Is(r.Err, tc.want) {
				t.Errorf("%s: signer %d: %v", tc.name, i, r.Err)
			}
		}
		if tc.name == "no certificates" {
			if r := s.Verify(VerifyOptions{Certificates: certificates(id)})[0]; r.Err != nil {
				t.Errorf("with the certificate from elsewhere: %v", r.Err)
			}
		}
		if tc.name == "cades" && len(s.Verify(VerifyOptions{})[0].Capabilities.Ciphers()) == 0 {
			t.Error("no capabilities read")
		}
	}
}

func TestWeakWrittenByOpenSSL(t *testing.T) {
	for _, name := range []string{"rsa2048", "p256"} {
		id := newIdentity(t, name)
		certFile, _ := id.files(t, t.TempDir())
		for _, cipher := range [][]string{{"-des3"}, {"-rc2-40"}, {"-rc2-64"}, {"-rc2-128"}} {
			if name == "p256" && cipher[0] != "-des3" {
				continue // no key wrap for RC2
			}
			args := append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-provider", "legacy", "-provider", "default", "-recip", certFile}, cipher...)
			e, err := ParseEnvelopedData(openssl(t, content, args...))
			if err != nil {
				t.Fatal(err)
			}
			if !e.Cipher.Weak() || e.Authenticated {
				t.Errorf("%v is %s", cipher, e.Cipher)
			}
			if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrWeak) {
				t.Errorf("%s, %v: %v", name, cipher, err)
			}
			if got, err := e.Decrypt(0, id.key, DecryptOptions{AllowWeak: true}); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %v, allowed: %q, %v", name, cipher, got, err)
			}
		}
	}
}

// A short curve is weak however much is allowed, and is named: it is not a damaged
// message.
func TestShortCurveWrittenByOpenSSL(t *testing.T) {
	id := newIdentity(t, "p224")
	certFile, _ := id.files(t, t.TempDir())
	e, err := ParseEnvelopedData(openssl(t, content, "cms", "-encrypt", "-binary", "-outform", "DER", "-aes128", "-recip", certFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Decrypt(0, id.key, DecryptOptions{AllowWeak: true}); !errors.Is(err, ErrWeak) || !strings.Contains(err.Error(), "P-224") {
		t.Error(err)
	}
}

// Ways to encrypt that belong to no certificate are named.
func TestPasswordWrittenByOpenSSL(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	certFile, _ := id.files(t, t.TempDir())
	der := openssl(t, content, "cms", "-encrypt", "-binary", "-outform", "DER", "-aes128", "-pwri_password", "secret",
		"-secretkey", "000102030405060708090a0b0c0d0e0f", "-secretkeyid", "01", "-recip", certFile)
	e, err := ParseEnvelopedData(der)
	if err != nil || len(e.Recipients) != 3 {
		t.Fatalf("%d recipients, %v", len(e.Recipients), err)
	}
	opened := 0
	for i, r := range e.Recipients {
		got, err := e.Decrypt(i, id.key, DecryptOptions{})
		if r.ID.Matches(id.cert) {
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%q, %v", got, err)
			}
			opened++
		} else if !errors.Is(err, ErrUnsupported) || r.Unsupported == "" {
			t.Errorf("%s: %v", r.KeyManagement, err)
		}
	}
	if opened != 1 {
		t.Errorf("opened by %d recipients", opened)
	}
}
