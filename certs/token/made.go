package token

import (
	"crypto"
	"errors"
	"fmt"
	"maps"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Name names the token in the log, in errors and in the store.
func (k *Keys) Name() string { return k.link.name }

// Generate returns the key with an identifier, which is made in the token if there is none: a
// caller that was killed calls again, with the same identifier, and gets the same key. kind is
// one of contract.Scheme, label what those who look into the token read. An error is temporary
// unless it is a Refusal.
func (k *Keys) Generate(kind string, id []byte, label string) (crypto.Signer, error) {
	q := contract.Request{Operation: contract.Generate, Data: id, Algorithm: contract.Algorithm{Scheme: contract.Scheme(kind), Label: []byte(label)}}
	answer, err := k.link.do(q)
	if err != nil {
		return nil, k.link.failure("making a key", err)
	}
	if len(answer.Keys) != 1 {
		return nil, k.link.failure("making a key", errNotMade)
	}
	made := k.link.key(answer.Keys[0])
	if made == nil || !q.Scheme.Is(made.Public()) {
		return nil, k.link.failure("making a key", errNotMade)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != nil {
		more := *k.keys
		more.private = maps.Clone(more.private)
		more.private[publicText(made.Public())] = made
		k.keys = &more
	}
	return made, nil
}

var errNotMade = errors.New("its answer is not one key of the kind that was asked for")

// Refused reports whether an error of Generate is one that only a person can mend.
func Refused(err error) bool { return isRefusal(err) || errors.Is(err, cms.ErrUnsupported) }

// errNoKey says that a token does not hold a key.
var errNoKey = errors.New("it does not hold the key")

// key returns the private key of a public half. The token is read again where it is unknown:
// another process may have had it made.
func (k *Keys) key(public crypto.PublicKey) (crypto.Signer, error) {
	text := publicText(public)
	held, err := k.list()
	if err != nil {
		return nil, err
	}
	if key := held.private[text]; key != nil {
		return key, nil
	}
	if held, err = k.listAgain(); err != nil {
		return nil, err
	}
	if key := held.private[text]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("token %q: %w", k.link.name, errNoKey)
}

// listAgain is list, but that the token is read again unless it was just now.
func (k *Keys) listAgain() (*inventory, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil || k.Clock().Before(k.reread) {
		return k.keys, k.err
	}
	k.reread = k.Clock().Add(missed)
	held, err := k.read()
	if err != nil {
		return nil, k.link.failure("reading what it holds", err)
	}
	k.keys = held
	return held, nil
}
