package test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// readByPeer returns what OpenSSL 3.6 reads in a message that the gateway signed and
// encrypted, with the key and the trust anchor that the gateway's store has.
func readByPeer(t *testing.T, o peer.NewerOpenSSL, g *rig.Gateway, sender, recipient string, sealed []byte) string {
	t.Helper()
	dir := t.TempDir()
	password, key := filepath.Join(dir, "password"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(password, []byte("a long password of the test"), 0o600))
	var signed []byte
	for _, cert := range exported(t, g, recipient) {
		if cert.IsCA || cert.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
			continue
		}
		print := sha256.Sum256(cert.Raw)
		g.Run(t, "cert", "export", "--format", "pem", "--private-key", "--password-file", password, "-o", key, hex.EncodeToString(print[:]))
		signed = o.Run(t, sealed, "cms", "-decrypt", "-recip", key, "-inkey", key, "-passin", "file:"+password)
	}
	anchors := filepath.Join(dir, "anchors.pem")
	must(t, os.WriteFile(anchors, testpki.EncodeCertificates(exported(t, g, sender)...), 0o600))
	return string(o.Run(t, signed, "cms", "-verify", "-CAfile", anchors, "-partial_chain"))
}

// exported returns the certificates of an address in the store, with their chains.
func exported(t *testing.T, g *rig.Gateway, address string) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for rest := []byte(g.Run(t, "cert", "export", address)); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list
		}
		list = append(list, testpki.Must(x509.ParseCertificate(block.Bytes)))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
