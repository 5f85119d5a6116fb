package pkix

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
)

var brainpoolNames = []string{"brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"}

// readPEM returns the octets of the first block of a file.
func readPEM(t *testing.T, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%q: no PEM", parts)
	}
	return block.Bytes
}

// brainpoolIn makes key.pem on a curve in dir and returns its public key.
func brainpoolIn(t *testing.T, dir, curve string, options ...string) *BrainpoolKey {
	t.Helper()
	openssl(t, dir, append([]string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve, "-out", "key.pem"}, options...)...)
	openssl(t, dir, "req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=brainpool", "-out", "cert.pem")
	cert, err := ParseCertificate(readPEM(t, dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, ok := PublicKey(cert).(*BrainpoolKey)
	if !ok {
		t.Fatalf("%s: key %T", curve, PublicKey(cert))
	}
	return key
}

func TestBrainpoolSignatures(t *testing.T) {
	data := []byte("what is signed")
	for _, curve := range brainpoolNames {
		dir := t.TempDir()
		key := brainpoolIn(t, dir, curve)
		other := brainpoolIn(t, t.TempDir(), curve)
		if key.Curve() != curve || CheckEncryptionKey(key) != nil {
			t.Errorf("%s: named %s", curve, key.Curve())
		}
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
			if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			openssl(t, dir, "dgst", "-"+opensslName(hash), "-sign", "key.pem", "-out", "sig", "data")
			sig, err := os.ReadFile(filepath.Join(dir, "sig"))
			if err != nil {
				t.Fatal(err)
			}
			a, digest := Algorithm{scheme: ECDSAScheme, hash: hash}, digestOf(hash, data)
			if !a.VerifyDigest(key, digest, sig) {
				t.Errorf("%s %v: does not verify", curve, hash)
			}
			if a.VerifyDigest(other, digest, sig) || a.VerifyDigest(key, digest, append(bytes.Clone(sig), 0)) ||
				(Algorithm{scheme: PKCS1Scheme, hash: hash}).VerifyDigest(key, digest, sig) {
				t.Errorf("%s %v: verifies what is wrong", curve, hash)
			}
			digest[3] ^= 1
			if a.VerifyDigest(key, digest, sig) {
				t.Errorf("%s %v: verifies another digest", curve, hash)
			}
		}
	}
}

// Signatures of 0 and of the order itself are those of a broken implementation
// (CVE-2022-21449).
func TestBrainpoolRefusesTrivialSignatures(t *testing.T) {
	for _, c := range brainpoolCurves {
		key := &BrainpoolKey{c, c.x, c.y}
		for _, n := range []*big.Int{new(big.Int), c.n, new(big.Int).Neg(big.NewInt(1)), new(big.Int).Add(c.n, big.NewInt(1))} {
			for _, sig := range [][]byte{sequenceOf(n, n), sequenceOf(big.NewInt(1), n), sequenceOf(n, big.NewInt(1))} {
				if key.Verify(make([]byte, 32), sig) {
					t.Errorf("%s: %x verifies", c.name, sig)
				}
			}
		}
	}
}

func TestBrainpoolArithmetic(t *testing.T) {
	for _, c := range brainpoolCurves {
		base := affine(c.x, c.y)
		if c.times(c.n, base).z.Sign() != 0 {
			t.Errorf("%s: n times the base point is not neutral", c.name)
		}
		less := new(big.Int).Sub(c.n, big.NewInt(1))
		if x, y, ok := c.affine(c.times(less, base)); !ok || x.Cmp(c.x) != 0 || y.Cmp(c.sub(new(big.Int), c.y)) != 0 {
			t.Errorf("%s: n-1 times the base point is not its negative", c.name)
		}
		x, y, _ := c.affine(c.double(base))
		if x2, y2, _ := c.affine(c.add(base, base)); x.Cmp(x2) != 0 || y.Cmp(y2) != 0 {
			t.Errorf("%s: doubling is not adding", c.name)
		}
		if c.add(base, jacobian{c.x, c.sub(new(big.Int), c.y), big.NewInt(1)}).z.Sign() != 0 {
			t.Errorf("%s: a point and its negative do not cancel", c.name)
		}
	}
}

func TestBrainpoolPoints(t *testing.T) {
	for _, curve := range brainpoolNames {
		dir := t.TempDir()
		key := brainpoolIn(t, dir, curve)
		openssl(t, dir, "pkey", "-in", "key.pem", "-pubout", "-ec_conv_form", "compressed", "-out", "short.pem")
		info, ok := ReadKeyInfo(readPEM(t, dir, "short.pem"))
		if !ok || len(info.Bits) != 1+key.curve.size() {
			t.Fatalf("%s: not compressed", curve)
		}
		short, ok := info.key().(*BrainpoolKey)
		if !ok || !short.Equal(key) {
			t.Errorf("%s: the compressed point is another one", curve)
		}
		size := key.curve.size()
		long := append([]byte{4}, append(key.x.FillBytes(make([]byte, size)), key.y.FillBytes(make([]byte, size))...)...)
		hybrid := bytes.Clone(long)
		hybrid[0] = 6 | long[len(long)-1]&1
		if same, err := key.curve.key(hybrid); err != nil || !same.Equal(key) {
			t.Errorf("%s: the hybrid point is another one: %v", curve, err)
		}
		contradiction := bytes.Clone(hybrid)
		contradiction[0] ^= 1
		off := bytes.Clone(long)
		off[len(off)-1] ^= 1
		above := bytes.Clone(info.Bits)
		new(big.Int).Add(key.curve.p, big.NewInt(0)).FillBytes(above[1:])
		for name, point := range map[string][]byte{"off the curve": off, "cut": long[:len(long)-1], "infinity": {0}, "empty": {}, "over p": above, "hybrid of the other half": contradiction} {
			if _, err := key.curve.key(point); err == nil {
				t.Errorf("%s: %s is taken for a point", curve, name)
			}
		}
	}
}

func TestBrainpoolAgreement(t *testing.T) {
	for _, curve := range brainpoolNames {
		dir := t.TempDir()
		key := brainpoolIn(t, dir, curve)
		e, err := key.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		secret, err := e.Agree(key)
		if err != nil {
			t.Fatal(err)
		}
		info, ok := ReadKeyInfo(spkiWith(t, readPEM(t, dir, "cert.pem"), e.Public()))
		if !ok || info.key() == nil {
			t.Fatalf("%s: the ephemeral key is no point", curve)
		}
		peer := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spkiWith(t, readPEM(t, dir, "cert.pem"), e.Public())})
		if err := os.WriteFile(filepath.Join(dir, "peer.pem"), peer, 0o600); err != nil {
			t.Fatal(err)
		}
		openssl(t, dir, "pkeyutl", "-derive", "-inkey", "key.pem", "-peerkey", "peer.pem", "-out", "secret")
		want, err := os.ReadFile(filepath.Join(dir, "secret"))
		if err != nil || !bytes.Equal(secret, want) {
			t.Errorf("%s: %x, openssl %x, %v", curve, secret, want, err)
		}
		if _, err := e.Agree(&BrainpoolKey{curve: &brainpoolCurve{}}); err == nil {
			t.Errorf("%s: agrees with a key on another curve", curve)
		}
	}
}

// spkiWith returns the SubjectPublicKeyInfo of a certificate with another point.
func spkiWith(t *testing.T, cert, point []byte) []byte {
	t.Helper()
	c, err := ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := ReadKeyInfo(c.RawSubjectPublicKeyInfo)
	out := bytes.Clone(c.RawSubjectPublicKeyInfo)
	copy(out[bytes.Index(out, info.Bits):], point)
	return out
}

func sequenceOf(a, b *big.Int) []byte {
	der, err := asn1.Marshal([]*big.Int{a, b})
	if err != nil {
		panic(err)
	}
	return der
}
