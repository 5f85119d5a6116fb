package pkix

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/rand"
	"encoding/asn1"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
)

// A kemSet is a parameter set of ML-KEM (FIPS 203, RFC 9935 section 3).
type kemSet struct {
	id     asn1.ObjectIdentifier
	name   string
	public int // octets
	scheme kem.Scheme
}

var kemSets = [...]kemSet{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 1}, "ML-KEM-512", mlkem512.PublicKeySize, mlkem512.Scheme()},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2}, "ML-KEM-768", mlkem.EncapsulationKeySize768, mlkem768.Scheme()},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3}, "ML-KEM-1024", mlkem.EncapsulationKeySize1024, mlkem1024.Scheme()},
}

// kemByID returns the parameter set of an object identifier, nil for others.
func kemByID(id asn1.ObjectIdentifier) *kemSet {
	for i := range kemSets {
		if kemSets[i].id.Equal(id) {
			return &kemSets[i]
		}
	}
	return nil
}

// A KEMKey is a public key of ML-KEM.
type KEMKey struct {
	crypto.Encapsulator
	set *kemSet
}

// Name returns "ML-KEM-768" and so on.
func (k *KEMKey) Name() string { return k.set.name }

// Equal reports whether x is the same key.
func (k *KEMKey) Equal(x crypto.PublicKey) bool {
	other, ok := x.(*KEMKey)
	return ok && k.set == other.set && bytes.Equal(k.Bytes(), other.Bytes())
}

// A KEMPrivateKey is a private key of ML-KEM. It implements crypto.Decapsulator.
type KEMPrivateKey struct {
	crypto.Decapsulator
	pub      *KEMKey
	seed     []byte // nil where only the expanded key is known
	expanded []byte // only where there is no seed
}

// Public returns the *KEMKey.
func (k *KEMPrivateKey) Public() crypto.PublicKey { return k.pub }

// GenerateKEM makes a key of a parameter set, such as "ML-KEM-768".
func GenerateKEM(name string) (*KEMPrivateKey, error) {
	for i := range kemSets {
		if kemSets[i].name == name {
			seed := make([]byte, mlkem.SeedSize)
			rand.Read(seed)
			return kemSets[i].private(seed)
		}
	}
	return nil, errKeyKind
}

// key reads a public key; nil if it is not well-formed.
func (set *kemSet) key(bits []byte) crypto.PublicKey {
	e, err := set.encapsulator(bits)
	if err != nil {
		return nil
	}
	return &KEMKey{e, set}
}

// encapsulator has the standard library do what it can.
func (set *kemSet) encapsulator(bits []byte) (crypto.Encapsulator, error) {
	switch set.public {
	case mlkem.EncapsulationKeySize768:
		return mlkem.NewEncapsulationKey768(bits)
	case mlkem.EncapsulationKeySize1024:
		return mlkem.NewEncapsulationKey1024(bits)
	}
	pub, err := set.scheme.UnmarshalBinaryPublicKey(bits)
	if err != nil {
		return nil, err
	}
	return circlPublic{pub}, nil
}

// private makes a private key of its seed.
func (set *kemSet) private(seed []byte) (*KEMPrivateKey, error) {
	var d crypto.Decapsulator
	var err error
	switch {
	case len(seed) != mlkem.SeedSize:
		return nil, errKeyKind
	case set.public == mlkem.EncapsulationKeySize768:
		d, err = mlkem.NewDecapsulationKey768(seed)
	case set.public == mlkem.EncapsulationKeySize1024:
		d, err = mlkem.NewDecapsulationKey1024(seed)
	default:
		_, key := set.scheme.DeriveKeyPair(seed)
		d = circlPrivate{key}
	}
	if err != nil {
		return nil, err
	}
	return &KEMPrivateKey{Decapsulator: d, pub: &KEMKey{d.Encapsulator(), set}, seed: bytes.Clone(seed)}, nil
}

// expandedKey reads an expanded private key (RFC 9935 section 6), after the checks
// of FIPS 203 section 7.3.
func (set *kemSet) expandedKey(encoded []byte) (*KEMPrivateKey, error) {
	key, err := set.scheme.UnmarshalBinaryPrivateKey(encoded)
	if err != nil {
		return nil, errKeyKind
	}
	d := circlPrivate{key}
	return &KEMPrivateKey{Decapsulator: d, pub: &KEMKey{d.Encapsulator(), set}, expanded: bytes.Clone(encoded)}, nil
}

// matches reports whether an expanded private key has a public key inside.
func (set *kemSet) matches(expanded, pub []byte) bool {
	// The private key proper, the public key, its hash and a secret (FIPS 203
	// algorithm 16).
	at := len(expanded) - 64 - len(pub)
	return len(expanded) == set.scheme.PrivateKeySize() && bytes.Equal(expanded[at:at+len(pub)], pub)
}

// circlPublic is a public key of circl as a crypto.Encapsulator.
type circlPublic struct{ key kem.PublicKey }

// Bytes returns the encoded key.
func (p circlPublic) Bytes() []byte {
	b, err := p.key.MarshalBinary()
	if err != nil {
		panic(err) // a key that was read can be written
	}
	return b
}

// Encapsulate makes a shared secret.
func (p circlPublic) Encapsulate() (sharedKey, ciphertext []byte) {
	ciphertext, sharedKey, err := p.key.Scheme().Encapsulate(p.key)
	if err != nil {
		panic(err) // a key of its own scheme
	}
	return sharedKey, ciphertext
}

// circlPrivate is a private key of circl as a crypto.Decapsulator.
type circlPrivate struct{ key kem.PrivateKey }

// Encapsulator returns the public key.
func (p circlPrivate) Encapsulator() crypto.Encapsulator { return circlPublic{p.key.Public()} }

// Decapsulate returns the shared secret; an error means a ciphertext of another size.
func (p circlPrivate) Decapsulate(ciphertext []byte) ([]byte, error) {
	return p.key.Scheme().Decapsulate(p.key, ciphertext)
}
