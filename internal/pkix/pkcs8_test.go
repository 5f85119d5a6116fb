package pkix

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var testSeed = [32]byte{0, 1, 2, 3}

// forms returns a key in the three forms of RFC 9881 section 6.
func forms(t *testing.T, id []int, seed, expanded []byte) map[string][]byte {
	t.Helper()
	only := func(f keyForms) []byte {
		der, err := privateKeyOf(id, f)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) })
		b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(seed)
				b.AddASN1OctetString(expanded)
			})
		})
	})
	return map[string][]byte{"seed": only(keyForms{seed: seed}), "expanded": only(keyForms{expanded: expanded}), "both": b.BytesOrPanic()}
}

// expandedKeys are the expanded keys of testSeed, as circl makes them.
func expandedKeys() map[Scheme][]byte {
	_, a := mldsa44.NewKeyFromSeed(&testSeed)
	_, b := mldsa65.NewKeyFromSeed(&testSeed)
	_, c := mldsa87.NewKeyFromSeed(&testSeed)
	return map[Scheme][]byte{MLDSA44Scheme: a.Bytes(), MLDSA65Scheme: b.Bytes(), MLDSA87Scheme: c.Bytes()}
}

func TestMLDSAPrivateKeyForms(t *testing.T) {
	expanded := expandedKeys()
	for i := range mldsaSets {
		set := &mldsaSets[i]
		want, err := set.private(testSeed[:])
		if err != nil {
			t.Fatal(err)
		}
		for form, der := range forms(t, set.id, testSeed[:], expanded[set.scheme]) {
			parsed, err := ParsePrivateKey(der)
			if err != nil {
				t.Errorf("%s, %s: %v", set.name, form, err)
				continue
			}
			key := parsed.(crypto.Signer)
			if !key.Public().(*MLDSAKey).Equal(want.Public()) {
				t.Errorf("%s, %s: another public key", set.name, form)
			}
			sig, err := Algorithm{scheme: set.scheme}.Sign(key, []byte("data"))
			if err != nil || !(Algorithm{scheme: set.scheme}).Verify(want.Public(), []byte("data"), sig) {
				t.Errorf("%s, %s: the signature does not verify, %v", set.name, form, err)
			}
			again, err := MarshalPrivateKey(parsed)
			if err != nil || form != "both" && !bytes.Equal(again, der) || !Exportable(parsed) || LibraryKey(parsed) {
				t.Errorf("%s, %s: written as %x, %v", set.name, form, again, err)
			}
		}
	}
}

// A seed beside the expanded key of another seed, sizes that do not fit, and an
// expanded key that names another public key.
func TestMLDSAPrivateKeyRefused(t *testing.T) {
	set := &mldsaSets[0]
	expanded := expandedKeys()[set.scheme]
	other := testSeed
	other[0] ^= 1
	bent := bytes.Clone(expanded)
	bent[70] ^= 1 // the hash of the public key
	for name, der := range map[string][]byte{
		"other seed":   forms(t, set.id, other[:], expanded)["both"],
		"short seed":   forms(t, set.id, other[:31], expanded)["seed"],
		"short":        forms(t, set.id, other[:], expanded[1:])["expanded"],
		"other public": forms(t, set.id, testSeed[:], bent)["expanded"],
		"other set":    forms(t, mldsaSets[1].id, testSeed[:], expanded)["both"],
		"trailing":     append(forms(t, set.id, testSeed[:], nil)["seed"], 0),
	} {
		if key, err := ParsePrivateKey(der); err == nil {
			t.Errorf("%s: read as %T", name, key)
		}
	}
}

func TestKEMPrivateKeyForms(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, mlkem.SeedSize)
	for i, expanded := range [][]byte{expandedKEM(mlkem512.NewKeyFromSeed(seed)), expandedKEM(mlkem768.NewKeyFromSeed(seed)), expandedKEM(mlkem1024.NewKeyFromSeed(seed))} {
		set := &kemSets[i]
		var public crypto.PublicKey
		for form, der := range forms(t, set.id, seed, expanded) {
			parsed, err := ParsePrivateKey(der)
			if err != nil {
				t.Fatalf("%s, %s: %v", set.name, form, err)
			}
			key := parsed.(*KEMPrivateKey)
			if public == nil {
				public = key.Public()
			}
			secret, ciphertext := public.(*KEMKey).Encapsulate()
			if got, err := key.Decapsulate(ciphertext); err != nil || !bytes.Equal(got, secret) || !key.pub.Equal(public) {
				t.Errorf("%s, %s: other secret, %v", set.name, form, err)
			}
			if again, err := MarshalPrivateKey(parsed); err != nil || form != "both" && !bytes.Equal(again, der) {
				t.Errorf("%s, %s: written as %x, %v", set.name, form, again, err)
			}
		}
		bent := bytes.Clone(expanded)
		bent[len(bent)-100] ^= 1
		for _, form := range []string{"expanded", "both"} {
			if _, err := ParsePrivateKey(forms(t, set.id, seed, bent)[form]); err == nil {
				t.Errorf("%s, %s: a changed key was read", set.name, form)
			}
		}
	}
}

func expandedKEM[P any, K interface{ MarshalBinary() ([]byte, error) }](_ P, key K) []byte {
	b, err := key.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

// Keys of crypto/mlkem are written and found too.
func TestLibraryKEM(t *testing.T) {
	key, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	pub, ok := PublicHalf(key)
	if k, _ := pub.(*KEMKey); !ok || k.Name() != "ML-KEM-1024" {
		t.Errorf("public half %T", pub)
	}
	der, err := MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePrivateKey(der)
	if err != nil || !back.(*KEMPrivateKey).pub.Equal(pub) {
		t.Errorf("%v", err)
	}
}

// What crypto/x509 cannot do is as if it had: a chain of ML-DSA with an ML-KEM key at
// its end, and a revocation list.
func TestCreatePostQuantum(t *testing.T) {
	root, err := GenerateMLDSA(MLDSA87Scheme)
	if err != nil {
		t.Fatal(err)
	}
	kem, err := GenerateKEM("ML-KEM-512")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, SubjectKeyId: []byte("root"), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Version: 3}
	ca := parsed(t, tmpl, tmpl, root.Public(), root)
	leaf := parsed(t, &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour)}, ca, kem.Public(), root)
	if !SignedBy(ca, ca, false) || !SignedBy(leaf, ca, false) || KeyName(leaf) != "ML-KEM-512" || KeyName(ca) != "ML-DSA-87" {
		t.Errorf("%s below %s", KeyName(leaf), KeyName(ca))
	}
	if !bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) {
		t.Error("the key identifiers differ")
	}
	crl, err := CreateRevocationList(&x509.RevocationList{Number: big.NewInt(1), NextUpdate: time.Now().Add(time.Hour)}, ca, root)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(crl)
	if err != nil {
		t.Fatal(err)
	}
	_, alg, ok := signedParts(crl)
	a, _, known := ReadAlgorithm(alg)
	if !ok || !known || !a.Verify(ca.PublicKey, list.RawTBSRevocationList, list.Signature) {
		t.Error("the revocation list does not verify")
	}
}

func parsed(t *testing.T, tmpl, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := CreateCertificate(tmpl, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
