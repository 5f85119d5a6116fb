package pkix

import (
	"crypto"
	"crypto/mlkem"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParsePrivateKey reads a PrivateKeyInfo (RFC 5958 section 2): the kinds that
// crypto/x509 knows, and ML-DSA and ML-KEM in all three forms: the seed, the
// expanded key, or both (RFC 9881 section 6, RFC 9935 section 6). Its errors do not
// quote the key.
func ParsePrivateKey(der []byte) (crypto.PrivateKey, error) {
	id, inner, ok := privateKeyInfo(der)
	if ok {
		if set := mldsaByID(id); set != nil {
			return parseMLDSA(set, inner)
		}
		if set := kemByID(id); set != nil {
			return parseKEM(set, inner)
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return pssPrivateKey(der)
	}
	return key, nil
}

// pssPrivateKey reads an RSA key for PSS alone (RFC 4055 section 3.1). Its
// certificate says the same, and with which parameters.
func pssPrivateKey(der []byte) (crypto.PrivateKey, error) {
	var info struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil || !info.Algorithm.Algorithm.Equal(oidRSAPSS) {
		return nil, errKeyKind
	}
	key, err := x509.ParsePKCS1PrivateKey(info.Key)
	if err != nil {
		return nil, errKeyKind
	}
	return key, nil
}

// privateKeyInfo returns the algorithm, if it has no parameters, and the key.
func privateKeyInfo(der []byte) (id asn1.ObjectIdentifier, key cryptobyte.String, ok bool) {
	s := cryptobyte.String(der)
	var info, alg cryptobyte.String
	var version int
	ok = s.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) && s.Empty() && info.ReadASN1Integer(&version) &&
		info.ReadASN1(&alg, cryptobyte_asn1.SEQUENCE) && alg.ReadASN1ObjectIdentifier(&id) && alg.Empty() &&
		info.ReadASN1(&key, cryptobyte_asn1.OCTET_STRING)
	return id, key, ok
}

// keyForms are the seed and the expanded key of a post-quantum private key; one of
// them may be nil.
type keyForms struct{ seed, expanded []byte }

var tagSeed = cryptobyte_asn1.Tag(0).ContextSpecific()

// readForms reads the CHOICE of seed, expandedKey and both.
func readForms(key cryptobyte.String) (f keyForms, ok bool) {
	var both, seed, expanded cryptobyte.String
	switch {
	case key.PeekASN1Tag(tagSeed):
		ok = key.ReadASN1(&seed, tagSeed)
	case key.PeekASN1Tag(cryptobyte_asn1.OCTET_STRING):
		ok = key.ReadASN1(&expanded, cryptobyte_asn1.OCTET_STRING)
	default:
		ok = key.ReadASN1(&both, cryptobyte_asn1.SEQUENCE) && both.ReadASN1(&seed, cryptobyte_asn1.OCTET_STRING) &&
			both.ReadASN1(&expanded, cryptobyte_asn1.OCTET_STRING) && both.Empty()
	}
	return keyForms{seed, expanded}, ok && key.Empty()
}

func parseMLDSA(set *mldsaSet, inner cryptobyte.String) (crypto.PrivateKey, error) {
	f, ok := readForms(inner)
	if !ok {
		return nil, errKeyKind
	}
	if f.seed == nil {
		return set.expandedKey(f.expanded)
	}
	key, err := set.private(f.seed)
	if err != nil {
		return nil, errKeyKind
	}
	pub, _ := key.Public().(*MLDSAKey)
	if f.expanded != nil && !set.matches(f.expanded, pub.Bytes()) { // RFC 9881 section 8.2
		return nil, errKeyKind
	}
	return key, nil
}

func parseKEM(set *kemSet, inner cryptobyte.String) (crypto.PrivateKey, error) {
	f, ok := readForms(inner)
	if !ok {
		return nil, errKeyKind
	}
	if f.seed == nil {
		return set.expandedKey(f.expanded)
	}
	key, err := set.private(f.seed)
	if err != nil || f.expanded != nil && !set.matches(f.expanded, key.pub.Bytes()) { // RFC 9935 section 8.2
		return nil, errKeyKind
	}
	return key, nil
}

// MarshalPrivateKey writes a PrivateKeyInfo: what ParsePrivateKey reads. ML-DSA and
// ML-KEM keys are written as their seed, which RFC 9881 and RFC 9935 recommend,
// where it is known.
func MarshalPrivateKey(key crypto.PrivateKey) ([]byte, error) {
	if set, seed, ok := seedOfMLDSA(key); ok {
		return privateKeyOf(set.id, keyForms{seed: seed})
	}
	switch k := key.(type) {
	case *expandedMLDSA:
		return privateKeyOf(k.set.id, keyForms{expanded: k.encoded})
	case *KEMPrivateKey:
		return privateKeyOf(k.pub.set.id, keyForms{k.seed, k.expanded})
	case *mlkem.DecapsulationKey768:
		return privateKeyOf(kemSets[1].id, keyForms{seed: k.Bytes()})
	case *mlkem.DecapsulationKey1024:
		return privateKeyOf(kemSets[2].id, keyForms{seed: k.Bytes()})
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// privateKeyOf writes the seed where it is known, else the expanded key.
func privateKeyOf(id asn1.ObjectIdentifier, f keyForms) ([]byte, error) {
	tag, octets := tagSeed, f.seed
	if octets == nil {
		tag, octets = cryptobyte_asn1.OCTET_STRING, f.expanded
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) })
		b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
		})
	})
	return b.Bytes()
}

// MarshalKeyInfo writes a SubjectPublicKeyInfo: the kinds that crypto/x509 knows,
// ML-DSA, SLH-DSA and ML-KEM.
func MarshalKeyInfo(pub crypto.PublicKey) ([]byte, error) {
	switch k := pub.(type) {
	case *MLDSAKey:
		return keyInfoOf(mldsaOf(k).id, k.Bytes())
	case *SLHDSAKey:
		return keyInfoOf(k.set.id, k.encoded())
	case *KEMKey:
		return keyInfoOf(k.set.id, k.Bytes())
	}
	return x509.MarshalPKIXPublicKey(pub)
}

func keyInfoOf(id asn1.ObjectIdentifier, bits []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) })
		b.AddASN1BitString(bits)
	})
	return b.Bytes()
}

// Exportable reports whether MarshalPrivateKey can write a key: one that is in
// memory, of a kind that is known.
func Exportable(key crypto.PrivateKey) bool {
	der, err := MarshalPrivateKey(key)
	clear(der)
	return err == nil
}

// LibraryKey reports whether crypto/x509 knows the kind of a private key.
func LibraryKey(key crypto.PrivateKey) bool {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	clear(der)
	return err == nil
}
