package testpki

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// rsaPool keeps the RSA keys of this process: making one takes long, and tests
// want many authorities. One authority and all below it never receive the same
// key twice, so that an identity cannot open the mail of another; roots made one
// after the other have different keys, and every third may have the same.
type rsaPool struct {
	mu    sync.Mutex
	roots int
	keys  map[[2]int]*rsa.PrivateKey // by bits and number
}

var pool = rsaPool{keys: map[[2]int]*rsa.PrivateKey{}}

// get returns the n-th key of the given size, making it when it is new.
func (p *rsaPool) get(bits, n int) (*rsa.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := [2]int{bits, n}
	if p.keys[id] == nil {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, fmt.Errorf("rsa key of %d bits: %w", bits, err)
		}
		p.keys[id] = k
	}
	return p.keys[id], nil
}

// keyring hands out keys for one root and everything below it.
type keyring struct {
	mu    sync.Mutex
	start int
	used  map[int]int
}

func newKeyring() *keyring {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.roots++
	return &keyring{start: pool.roots % 3 * 4, used: map[int]int{}}
}

func (r *keyring) rsa(bits int) (*rsa.PrivateKey, error) {
	r.mu.Lock()
	n := r.start + r.used[bits]
	r.used[bits]++
	r.mu.Unlock()
	return pool.get(bits, n)
}

// generate makes a key of the named kind; "" is p256.
func (r *keyring) generate(kind string) (crypto.PrivateKey, error) {
	switch kind {
	case "", "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "p224":
		return ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	case "x25519":
		return ecdh.X25519().GenerateKey(rand.Reader)
	case "rsa1024":
		return r.rsa(1024)
	case "rsa2048":
		return r.rsa(2048)
	case "rsa3072":
		return r.rsa(3072)
	case "rsa4096":
		return r.rsa(4096)
	}
	return nil, fmt.Errorf("key %q: not a kind of key that can be made", kind)
}

// public returns the public half of a key made by generate.
func public(k crypto.PrivateKey) crypto.PublicKey {
	return k.(interface{ Public() crypto.PublicKey }).Public()
}
