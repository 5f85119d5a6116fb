//go:build openssl36

package test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/peer"
)

// A newerWorld has the keys and certificates that the peer made.
type newerWorld struct {
	peer.NewerOpenSSL
	dir string
}

// issue returns the identity of a new key, and the name of its file.
func (w newerWorld) issue(t *testing.T, algorithm, usage string) (*certs.Identity, string) {
	t.Helper()
	both := w.certify(t, algorithm, usage)
	ids, err := file.ReadIdentities(both, "")
	if err != nil || len(ids) != 1 {
		t.Fatalf("%s: %d identities, %v", algorithm, len(ids), err)
	}
	return ids[0], both
}

// certify returns the name of a file with a new key and its certificate, which is signed
// by the peer's authority.
func (w newerWorld) certify(t *testing.T, algorithm, usage string) string {
	t.Helper()
	key, public, cert, extensions := w.dir+"/key", w.dir+"/public", w.dir+"/cert", w.dir+"/extensions"
	both := filepath.Join(w.dir, algorithm+".pem")
	w.Run(t, nil, "genpkey", "-algorithm", algorithm, "-out", key)
	w.Run(t, nil, "pkey", "-in", key, "-pubout", "-out", public)
	request := w.Run(t, nil, "req", "-new", "-key", w.dir+"/ca.key", "-subj", "/CN=alice")
	must(t, os.WriteFile(extensions, []byte("subjectAltName=email:alice@example.org\nkeyUsage="+usage+"\n"), 0o600))
	w.Run(t, request, "x509", "-req", "-force_pubkey", public, "-CA", w.dir+"/ca.pem", "-CAkey", w.dir+"/ca.key", "-extfile", extensions, "-days", "2", "-out", cert)
	must(t, os.WriteFile(both, bytes.Join([][]byte{testpki.Must(os.ReadFile(key)), testpki.Must(os.ReadFile(cert))}, nil), 0o600))
	return both
}

// TestPostQuantumPeer: OpenSSL 3.6 reads what is signed with ML-DSA and encrypted with
// ML-KEM, and what it writes is read, also what it signs with SLH-DSA.
func TestPostQuantumPeer(t *testing.T) {
	o, found := peer.FindNewerOpenSSL()
	if !found {
		t.Fatal("no OpenSSL 3.6: make post-quantum")
	}
	w := newerWorld{o, t.TempDir()}
	w.Run(t, nil, "req", "-x509", "-newkey", "ml-dsa-87", "-nodes", "-keyout", w.dir+"/ca.key", "-out", w.dir+"/ca.pem", "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE", "-days", "2")
	root, err := file.ReadCertificates(w.dir + "/ca.pem")
	must(t, err)
	validator, err := path.NewValidator(path.Config{Anchors: root, Revocation: certs.RevocationOff})
	must(t, err)
	const entity = "Content-Type: text/plain\r\n\r\nwhat is kept for long\r\n"
	mail := testpki.Must(message.Parse([]byte("From: alice@example.org\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\n" + entity)))
	for _, algorithm := range []string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"} {
		id, name := w.issue(t, algorithm, "digitalSignature")
		for _, opaque := range []bool{false, true} {
			signed, err := smime.Sign(mail, id, smime.SignOptions{Opaque: opaque, Time: time.Now()})
			must(t, err)
			if got := w.Run(t, signed.Bytes(), "cms", "-verify", "-CAfile", w.dir+"/ca.pem"); string(got) != entity {
				t.Errorf("%s, opaque %v: OpenSSL reads %q", algorithm, opaque, got)
			}
			args := []string{"cms", "-sign", "-binary", "-md", "sha512", "-signer", name}
			if opaque {
				args = append(args, "-nodetach")
			}
			theirs := append([]byte("From: alice@example.org\r\nDate: "+time.Now().Format(time.RFC1123Z)+"\r\n"), w.Run(t, []byte(entity), args...)...)
			r := smime.Open(t.Context(), testpki.Must(message.Parse(theirs)), smime.OpenOptions{Checker: validator}).Report
			if r.Result != certs.Pass || !strings.EqualFold(string(r.Signers[0].Signature), algorithm) {
				t.Errorf("%s, opaque %v: of OpenSSL's %+v", algorithm, opaque, r)
			}
		}
	}
	for _, set := range []string{"SHA2-128s", "SHA2-128f", "SHA2-192s", "SHA2-192f", "SHA2-256s", "SHA2-256f", "SHAKE-128s", "SHAKE-128f", "SHAKE-192s", "SHAKE-192f", "SHAKE-256s", "SHAKE-256f"} {
		name := w.certify(t, "SLH-DSA-"+set, "digitalSignature")
		for _, form := range []string{"-nodetach", "-stream"} {
			theirs := append([]byte("From: alice@example.org\r\nDate: "+time.Now().Format(time.RFC1123Z)+"\r\n"), w.Run(t, []byte(entity), "cms", "-sign", "-binary", "-md", "sha512", form, "-signer", name)...)
			verdict := func(raw []byte) smime.Report {
				return smime.Open(t.Context(), testpki.Must(message.Parse(raw)), smime.OpenOptions{Checker: validator}).Report
			}
			if r := verdict(theirs); r.Result != certs.Pass || !strings.HasPrefix(string(r.Signers[0].Signature), "slh-dsa") {
				t.Errorf("%s, %s: of OpenSSL's %+v", set, form, r)
			}
			if r := verdict(bytes.Replace(theirs, []byte("for long"), []byte("for ever"), 1)); form == "-stream" && r.Result != certs.Fail {
				t.Errorf("%s, changed: %+v", set, r)
			}
		}
	}
	for _, algorithm := range []string{"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"} {
		id, name := w.issue(t, algorithm, "keyEncipherment")
		for _, cipher := range []cms.Cipher{cms.AES128GCM, cms.AES256GCM, cms.AES256CBC} {
			encrypted, err := smime.Encrypt(mail, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{Cipher: cipher})
			must(t, err)
			if got := w.Run(t, encrypted.Bytes(), "cms", "-decrypt", "-recip", name, "-inkey", name); string(got) != entity {
				t.Errorf("%s, %s: OpenSSL reads %q", algorithm, cipher, got)
			}
			theirs := w.Run(t, []byte(entity), "cms", "-encrypt", "-binary", "-"+string(cipher), name)
			o := smime.Open(t.Context(), testpki.Must(message.Parse(theirs)), smime.OpenOptions{Keys: certs.NewKeys(time.Now, id)})
			if !o.Decrypted || string(o.Message.Body()) != "what is kept for long\r\n" || o.Report.Encryption.Cipher != cipher {
				t.Errorf("%s, %s: of OpenSSL's %+v", algorithm, cipher, o.Report)
			}
		}
	}
}
