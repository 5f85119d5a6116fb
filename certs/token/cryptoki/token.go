//go:build cgo

package cryptoki

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/certs/token/internal/uri"
)

const (
	defaultTimeout = 10 * time.Second
	// pause is how long a library is left alone that was restarted.
	pause = 2 * time.Second
	// maxLabel limits the label of a key that is made, in octets.
	maxLabel = 320
)

// Options are what a token is used with.
type Options struct {
	// Timeout limits one operation; 0 is ten seconds.
	Timeout time.Duration
	// Hangs, if not nil, is called when a call of the library has not returned by then.
	// It cannot be ended but with the process.
	Hangs func()
	Clock func() time.Time // nil is time.Now
}

// target is the URI of a token.
type target struct{ uri.URI }

// Token is a contract.Holder.
type Token struct {
	Options
	uri     target
	modules *registry

	mu     sync.Mutex
	module *module // nil as long as it could not be initialized
	pool   *pool   // nil as long as the token was not found
	keys   map[string]signer
}

// Open reads the URI of a token and looks for its library. The token is not used
// before it is asked for something. An error is one that a person must mend.
func Open(text string, o Options) (*Token, error) { return open(text, o, modules) }

func open(text string, o Options, r *registry) (*Token, error) {
	u, err := uri.Parse(text)
	if err != nil {
		return nil, refuse("%w", err)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	t := &Token{Options: o, uri: target{u}, modules: r}
	if _, err := t.uri.library(); err != nil {
		return nil, err
	}
	return t, nil
}

// List implements contract.Holder.
func (t *Token) List() (contract.Inventory, error) {
	found, err := use(t, func(p *pool, s *session) (contents, error) { return p.list(s) })
	if err != nil {
		return contract.Inventory{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys = found.keys
	return found.Inventory, nil
}

// key returns a key by its name. What the token holds is read again if the name is
// unknown: the gateway may have it from a process before this one.
func (t *Token) key(name string) (signer, error) {
	for range 2 {
		t.mu.Lock()
		k, ok := t.keys[name]
		t.mu.Unlock()
		if ok {
			return k, nil
		}
		if _, err := t.List(); err != nil {
			return nil, err
		}
	}
	return nil, contract.Errorf(contract.Unavailable, "the key %s is no longer there", name)
}

// Ready implements contract.Holder: there is a session, and the key is found in it.
func (t *Token) Ready(name string) error {
	k, err := t.key(name)
	if err != nil {
		return err
	}
	_, err = use(t, func(_ *pool, s *session) (pkcs11.ObjectHandle, error) {
		if _, err := s.loggedIn(); err != nil {
			return 0, err
		}
		return k.handle(s)
	})
	return err
}

// Sign implements contract.Holder.
func (t *Token) Sign(name string, a contract.Algorithm, digest []byte) ([]byte, error) {
	k, err := t.key(name)
	if err != nil {
		return nil, err
	}
	return use(t, func(p *pool, s *session) ([]byte, error) { return k.sign(p, s, a, digest) })
}

// Decrypt implements contract.Holder.
func (t *Token) Decrypt(name string, a contract.Algorithm, ciphertext []byte) ([]byte, error) {
	k, err := t.key(name)
	if err != nil {
		return nil, err
	}
	rsa, ok := k.(*rsaKey)
	if !ok {
		return nil, contract.Errorf(contract.Unsupported, "the key does not decrypt")
	}
	plain, err := use(t, func(p *pool, s *session) ([]byte, error) { return rsa.decrypt(p, s, a, ciphertext) })
	if err == nil && plain == nil {
		err = contract.Errorf(contract.Undecryptable, "decryption failed")
	}
	return plain, err
}

// Derive implements contract.Holder.
func (t *Token) Derive(name string, a contract.Algorithm, point []byte) ([]byte, error) {
	k, err := t.key(name)
	if err != nil {
		return nil, err
	}
	ec, ok := k.(*ecKey)
	if !ok || a.Scheme != contract.ECDH {
		return nil, contract.Errorf(contract.Unsupported, "the key does not agree on keys by %q", a.Scheme)
	}
	return use(t, func(_ *pool, s *session) ([]byte, error) { return ec.derive(s, point) })
}

// Generate implements contract.Holder.
func (t *Token) Generate(kind contract.Scheme, id, label []byte) (contract.Key, error) {
	if kind.Bits() == 0 && kind.Curve() == nil || len(id) == 0 || len(label) > maxLabel {
		return contract.Key{}, contract.Errorf(contract.Unsupported, "no key of kind %q is made", kind)
	}
	if !t.uri.selects(private{id: id, label: label}, nil) {
		return contract.Key{}, refuse("its URI names single keys, by id, object or type, and would not name a new one")
	}
	made, err := useFor(t, contract.GenerateTime, func(p *pool, s *session) (contents, error) {
		return p.generate(s, kind, id, label)
	})
	if err != nil {
		return contract.Key{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := maps.Clone(t.keys)
	if all == nil {
		all = map[string]signer{}
	}
	maps.Copy(all, made.keys)
	t.keys = all
	return made.Keys[0], nil
}

// use has f work with a session of the token.
func use[T any](t *Token, f func(*pool, *session) (T, error)) (T, error) {
	return useFor(t, t.Timeout, f)
}

// useFor is use for what takes another time than most.
func useFor[T any](t *Token, timeout time.Duration, f func(*pool, *session) (T, error)) (T, error) {
	var none T
	p, err := t.connect()
	if err != nil {
		return none, answer(err)
	}
	value, err := do(p, timeout, func(s *session) (T, error) { return f(p, s) })
	if errors.Is(err, errTimeout) && t.Hangs != nil {
		t.Hangs()
	}
	if err != nil {
		return none, answer(err)
	}
	return value, nil
}

// connect loads the library and finds the token.
func (t *Token) connect() (*pool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pool != nil {
		return t.pool, nil
	}
	if t.module == nil {
		path, err := t.uri.library()
		if err != nil {
			return nil, err
		}
		if t.module, err = t.modules.acquire(path); err != nil {
			return nil, err
		}
	}
	info, err := t.find()
	if (absent(err) || broken(err)) && t.module.restart(t.Clock()) {
		info, err = t.find()
	}
	if err != nil {
		return nil, err
	}
	t.pool = newPool(t.module, t.uri, t.Options, info.MaxSessionCount)
	return t.pool, nil
}

func (t *Token) find() (pkcs11.TokenInfo, error) {
	t.module.calls.RLock()
	defer t.module.calls.RUnlock()
	_, info, err := t.uri.slot(t.module)
	return info, err
}

// Close ends all sessions with the token. Its keys must not be in use.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.module == nil {
		return nil
	}
	if t.pool != nil && !t.pool.close() {
		return fmt.Errorf("token %q: %w", t.uri.Name(), errTimeout)
	}
	m := t.module
	t.module, t.pool = nil, nil
	return m.release()
}
