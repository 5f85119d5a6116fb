package cms

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"path/filepath"
	"testing"
)

// No peer does key agreement with X25519 in CMS. So the steps of RFC 8418 are
// taken one after the other with the peer's primitives, on what we wrote; the
// ECC-CMS-SharedInfo of section 2.1 is written out in full.
func TestX25519ByHand(t *testing.T) {
	const sharedInfo = "3015" + "300b" + "0609608648016503040" + "12d" + // keyInfo: id-aes256-wrap
		"a206" + "0404" + "00000100" // suppPubInfo: 256 bits
	dir := t.TempDir()
	key, cert := newX25519(t)
	_, keyFile := pemFiles(t, dir, "x25519", cert, key)
	o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: certificates(&identity{cert: cert})})
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelopedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	r := &e.Recipients[0]
	if r.originator.params != nil || !r.originator.is(oidX25519) || r.ukm != nil || !bytes.Equal(r.rawWrap, unhex(t, sharedInfo[4:30])) {
		t.Errorf("recipient info %+v", r)
	}
	peerFile := filepath.Join(dir, "peer.pub")
	writeFile(t, peerFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(oidX25519, nil, r.point)}))
	secret := openssl(t, nil, "pkeyutl", "-derive", "-inkey", keyFile, "-peerkey", peerFile)
	kek := openssl(t, nil, "kdf", "-binary", "-keylen", "32", "-kdfopt", "digest:SHA2-256",
		"-kdfopt", "hexkey:"+hex.EncodeToString(secret), "-kdfopt", "hexinfo:"+sharedInfo, "HKDF")
	contentKey := openssl(t, r.encrypted, "enc", "-d", "-id-aes256-wrap", "-K", hex.EncodeToString(kek), "-iv", "a6a6a6a6a6a6a6a6")
	got := openssl(t, e.content.Bytes(), "enc", "-d", "-aes-256-cbc", "-K", hex.EncodeToString(contentKey), "-iv", hex.EncodeToString(e.alg.params[2:]))
	if !bytes.Equal(got, content) {
		t.Errorf("plaintext %q", got)
	}
}
