// Package token finds identities whose private keys stay in a token: a smart card, a
// hardware security module, SoftHSM. It has keys made there, too. What signs and decrypts for it are crypto.Signer,
// crypto.Decrypter and ecdh.KeyExchanger, so that no other package knows of tokens.
//
// The token is used by another program, the helper, which speaks certs/token/contract:
// smimerelay-token for PKCS #11, an interface of C. What a library of a token does, that
// it crashes, hangs or writes where it should not, it does there.
//
// A token that does not answer is a temporary matter, whatever it was asked: its
// keys then give errors that wrap cms.ErrDevice. What a token says of a
// ciphertext never does: who sends messages must not learn from our answers
// whether a padding was good.
package token

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Config says which token, and what is known besides.
type Config struct {
	// Token names a token and which of its keys by a URI of RFC 7512, for a helper that is
	// started: "pkcs11:token=mail?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin".
	// "unix:/path" names the socket of a helper that runs already.
	Token string
	// Helper is the program that is started.
	Helper string
	// Certificates serve keys that have none of their own in the token, and as
	// chains.
	Certificates []*x509.Certificate
	// Elsewhere: identities with its keys may also be in the store (see InTokens), so that it is
	// no error where the token has none of its own.
	Elsewhere bool
	// LocalPart is the rule by which addresses are compared.
	LocalPart address.LocalPart
	// Timeout limits the wait for one operation; 0 is ten seconds.
	Timeout time.Duration
	Clock   func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil: nothing is logged
	// Count, if not nil, is called for each operation with its result, which is "done" or
	// the kind of the error. The operation "start" is a start of the helper or a
	// connection to it.
	Count func(token, operation, result string)
}

const (
	defaultTimeout = 10 * time.Second
	// pause is how long a token is left alone that could not be read, and a helper
	// that was just started.
	pause = 2 * time.Second
	// missed is how long a token is not read again because it has not the key that is wanted.
	missed = time.Minute
)

// Keys are the identities of one token. As long as it could not be asked what it
// holds, their methods return an error.
type Keys struct {
	Config
	link *link

	mu     sync.Mutex
	keys   *inventory
	err    error     // why keys is nil
	again  time.Time // when to try next
	reread time.Time // when to look for a key that is not in keys
}

// inventory is what a token holds.
type inventory struct {
	*certs.FileKeys
	// private are its keys by their SubjectPublicKeyInfo, with or without a certificate.
	private map[string]crypto.Signer
}

// Open finds the identities of a token. An error is one that a person must mend: a
// token that is not named correctly, a helper that cannot be run, a library that is none,
// a PIN that is refused, a token without an identity. A token that does not answer is no
// error: the Keys say so until it does.
func Open(c Config) (*Keys, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Count == nil {
		c.Count = func(string, string, string) {}
	}
	l, err := newLink(c)
	if err != nil {
		return nil, err
	}
	k := &Keys{Config: c, link: l}
	if _, err = k.list(); isRefusal(err) {
		k.Close()
		return nil, err
	}
	return k, nil
}

// isRefusal reports whether err is one that only a person can mend.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*contract.Error](err)
	return ok && (e.Kind == contract.Refused || e.Kind == contract.WrongPIN)
}

// list returns the identities, and asks the token for them until it has answered.
func (k *Keys) list() (*inventory, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != nil || k.Clock().Before(k.again) {
		return k.keys, k.err
	}
	failed := k.err != nil
	k.keys, k.err = k.read()
	k.again = k.Clock().Add(pause)
	switch {
	case k.err != nil:
		k.err = k.link.failure("reading what it holds", k.err)
		if !failed {
			k.Log.Error("token unavailable", "token", k.link.name, "error", k.err.Error())
		}
	case failed:
		k.Log.Info("token available again", "token", k.link.name, "identities", len(k.keys.Identities()))
	}
	return k.keys, k.err
}

func (k *Keys) read() (*inventory, error) {
	held, err := k.link.do(contract.Request{Operation: contract.List})
	if err != nil {
		return nil, err
	}
	private := k.link.private(held.Inventory)
	ids, left := k.identities(held.Inventory)
	switch left := strings.Join(left, ", "); {
	case k.Elsewhere:
	case len(ids) == 0 && left != "":
		return nil, contract.Errorf(contract.Refused, "no certificate for %s, in the token or in a file of identities.path", left)
	case len(ids) == 0:
		return nil, contract.Errorf(contract.Refused, "no private key is in it that the configuration names")
	case left != "":
		k.Log.Warn("keys without a certificate in token", "token", k.link.name, "keys", left)
	}
	return &inventory{certs.NewKeys(k.Clock, ids...).WithLocalPart(k.LocalPart), private}, nil
}

// Signing implements certs.Keys.
func (k *Keys) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	keys, err := k.list()
	if err != nil {
		return nil, err
	}
	return keys.Signing(ctx, a)
}

// ForReplies implements certs.Keys.
func (k *Keys) ForReplies(ctx context.Context, a address.Address) (*certs.Identity, error) {
	keys, err := k.list()
	if err != nil {
		return nil, err
	}
	return keys.ForReplies(ctx, a)
}

// WhyNot implements certs.Keys.
func (k *Keys) WhyNot(ctx context.Context, a address.Address) string {
	keys, err := k.list()
	if err != nil {
		return ""
	}
	return keys.WhyNot(ctx, a)
}

// Decryption implements certs.Keys.
func (k *Keys) Decryption(ctx context.Context, id cms.ID) ([]*certs.Identity, error) {
	keys, err := k.list()
	if err != nil {
		return nil, err
	}
	return keys.Decryption(ctx, id)
}

// Identities returns all identities, none before the token was asked.
func (k *Keys) Identities() []*certs.Identity {
	keys, err := k.list()
	if err != nil {
		return nil
	}
	return keys.Identities()
}

// Err says why the token could not be asked what it holds; nil if it answered.
func (k *Keys) Err() error {
	_, err := k.list()
	return err
}

// Close ends the helper, or the connection to it. The keys must not be in use.
func (k *Keys) Close() { k.link.close() }
