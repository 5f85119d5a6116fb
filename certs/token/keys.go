//go:build pkcs11

package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

const (
	defaultTimeout = 10 * time.Second
	// pause is how long a token is left alone that could not be read, and a
	// library that was restarted.
	pause = 2 * time.Second
)

// token implements Keys.
type token struct {
	Config
	uri     uri
	modules *registry

	mu     sync.Mutex
	module *module // nil as long as it could not be initialized
	pool   *pool   // nil as long as the token was not found
	keys   *certs.FileKeys
	err    error     // why keys is nil
	again  time.Time // when to try next
}

// Open finds the identities of a token. An error is one that a person must mend:
// a URI or a library that is none, a PIN that is refused, a token without an
// identity. A token that does not answer is no error: the Keys say so until it
// does.
func Open(c Config) (Keys, error) { return open(c, modules) }

func open(c Config, r *registry) (*token, error) {
	u, err := parseURI(c.URI)
	if err != nil {
		return nil, err
	}
	t := &token{Config: c, uri: u, modules: r}
	if t.Clock == nil {
		t.Clock = time.Now
	}
	if t.Log == nil {
		t.Log = slog.New(slog.DiscardHandler)
	}
	if t.Timeout <= 0 {
		t.Timeout = defaultTimeout
	}
	_, err = t.list()
	if _, ok := errors.AsType[*refusal](err); ok {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// list returns the identities, and asks the token for them until it has answered.
func (t *token) list() (*certs.FileKeys, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys != nil || t.Clock().Before(t.again) {
		return t.keys, t.err
	}
	failed := t.err != nil
	t.keys, t.err = t.read()
	t.again = t.Clock().Add(pause)
	switch {
	case t.err != nil:
		t.err = t.uri.failure("reading what it holds", t.err)
		if !failed {
			t.Log.Error("token does not answer", "token", t.uri.name(), "error", t.err.Error())
		}
	case failed:
		t.Log.Info("token answers", "token", t.uri.name(), "identities", len(t.keys.Identities()))
	}
	return t.keys, t.err
}

// contents are the identities of a token, and the keys that are left over.
type contents struct {
	ids  []*certs.Identity
	left []string
}

func (t *token) read() (*certs.FileKeys, error) {
	if err := t.connect(); err != nil {
		return nil, err
	}
	found, err := do(t.pool, func(s *session) (contents, error) {
		ids, left, err := t.pool.list(s, t.Certificates)
		return contents{ids, left}, err
	})
	if err != nil {
		return nil, err
	}
	switch left := strings.Join(found.left, ", "); {
	case len(found.ids) == 0 && left != "":
		return nil, refuse("no certificate for %s, in the token or in a file of identities.path", left)
	case len(found.ids) == 0:
		return nil, refuse("the URI names no private key in it")
	case left != "":
		t.Log.Warn("keys without a certificate in token", "token", t.uri.name(), "keys", left)
	}
	return certs.NewKeys(t.Clock, found.ids...).WithLocalPart(t.LocalPart), nil
}

// connect loads the library and finds the token.
func (t *token) connect() error {
	if t.pool != nil {
		return nil
	}
	if t.module == nil {
		path, err := t.uri.library()
		if err != nil {
			return err
		}
		if t.module, err = t.modules.acquire(path); err != nil {
			return err
		}
	}
	info, err := t.find()
	if (absent(err) || broken(err)) && t.module.restart(t.Clock()) {
		info, err = t.find()
	}
	if err != nil {
		return err
	}
	t.pool = newPool(t.module, t.Config, t.uri, info.MaxSessionCount)
	return nil
}

func (t *token) find() (pkcs11.TokenInfo, error) {
	t.module.calls.RLock()
	defer t.module.calls.RUnlock()
	_, info, err := t.uri.slot(t.module)
	return info, err
}

// Signing implements certs.Keys.
func (t *token) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	keys, err := t.list()
	if err != nil {
		return nil, err
	}
	return keys.Signing(ctx, a)
}

// ForReplies implements certs.Keys.
func (t *token) ForReplies(ctx context.Context, a address.Address) (*certs.Identity, error) {
	keys, err := t.list()
	if err != nil {
		return nil, err
	}
	return keys.ForReplies(ctx, a)
}

// WhyNot implements certs.Keys.
func (t *token) WhyNot(ctx context.Context, a address.Address) string {
	keys, err := t.list()
	if err != nil {
		return ""
	}
	return keys.WhyNot(ctx, a)
}

// Decryption implements certs.Keys.
func (t *token) Decryption(ctx context.Context, id cms.ID) ([]*certs.Identity, error) {
	keys, err := t.list()
	if err != nil {
		return nil, err
	}
	return keys.Decryption(ctx, id)
}

// Identities implements Keys.
func (t *token) Identities() []*certs.Identity {
	keys, err := t.list()
	if err != nil {
		return nil
	}
	return keys.Identities()
}

// Err implements Keys.
func (t *token) Err() error {
	_, err := t.list()
	return err
}

// Close implements Keys.
func (t *token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.module == nil {
		return nil
	}
	if t.pool != nil && !t.pool.close() {
		return fmt.Errorf("token %q: %w", t.uri.name(), errTimeout)
	}
	m := t.module
	t.module = nil
	return m.release()
}
