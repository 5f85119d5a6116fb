package store

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// PutIdentity stores identities with their keys, which are sealed, and chains.
// Without Config.Key it is an error. Of a certs.TokenKey the public half is stored.
func (s *Store) PutIdentity(ctx context.Context, origin Origin, ids ...*certs.Identity) (Stored, error) {
	if s.sealer == nil {
		return Stored{}, failed(ErrNoKeyFile)
	}
	items := make([]item, 0, len(ids))
	for _, id := range ids {
		it, err := s.prepareIdentity(id)
		if err != nil {
			return Stored{}, failed(err)
		}
		items = append(items, it)
	}
	return s.put(ctx, origin, items)
}

func (s *Store) prepareIdentity(id *certs.Identity) (item, error) {
	it, err := prepare(New{Certificate: id.Certificate, Chain: id.Chain})
	if err != nil {
		return it, err
	}
	if err := id.Check(); err != nil {
		return it, fmt.Errorf("certificate %s: %w", describe(id.Certificate), err)
	}
	if it.sealed, it.token, err = s.sealKey(id.Key, forKey, it.fingerprint[:]); err != nil {
		return it, fmt.Errorf("certificate %s: %w", describe(id.Certificate), err)
	}
	return it, nil
}

// sealKey seals a private key for a purpose; of one in a token, which it names, the public half.
func (s *Store) sealKey(key any, purpose string, about []byte) (sealed []byte, token string, err error) {
	var der []byte
	if held, ok := key.(*certs.TokenKey); ok {
		token = held.Token
		der, err = x509.MarshalPKIXPublicKey(held.Half)
	} else {
		der, err = pkix.MarshalPrivateKey(key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("a private key of type %T can not be kept in the store", key)
	}
	defer clear(der)
	return s.sealer.seal(der, purpose, about), token, nil
}

// HasTokenKeys reports whether there are certificates whose keys are in tokens.
func (s *Store) HasTokenKeys(ctx context.Context) (bool, error) {
	var held bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM store_key WHERE token <> '')`).Scan(&held)
	if err != nil {
		return false, failed(err)
	}
	return held, nil
}

func (s *Store) putKey(ctx context.Context, c *change, it *item) error {
	if err := s.sealer.keepCheck(ctx, c.Tx); err != nil {
		return err
	}
	_, err := c.ExecContext(ctx, `INSERT INTO store_key (fingerprint, sealed, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		it.fingerprint[:], it.sealed, it.token)
	return err
}

// Identity returns an identity with its key, whatever its origin; one in a token is a
// certs.TokenKey. ErrNotFound: no such certificate; ErrNoKey: its key is not in the store.
func (s *Store) Identity(ctx context.Context, fingerprint [32]byte) (*certs.Identity, error) {
	id, err := s.identity(ctx, fingerprint[:])
	if err != nil {
		return nil, failed(err)
	}
	return id, nil
}

func (s *Store) identity(ctx context.Context, fingerprint []byte) (*certs.Identity, error) {
	var der, sealed []byte
	var pinned bool
	var token string
	err := s.read.QueryRowContext(ctx, `SELECT c.der, c.pinned, k.sealed, COALESCE(k.token, '') FROM store_certificate c
		LEFT JOIN store_key k ON k.fingerprint = c.fingerprint WHERE c.fingerprint = $1`, fingerprint).Scan(&der, &pinned, &sealed, &token)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case sealed == nil:
		return nil, ErrNoKey
	}
	cert, err := parse(der)
	if err != nil {
		return nil, err
	}
	key, err := s.unseal(sealed, token, forKey, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", describe(cert), err)
	}
	chain, err := s.chain(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	id := &certs.Identity{Certificate: cert, Chain: chain, Key: key, Pinned: pinned}
	if err := id.Check(); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", describe(cert), err)
	}
	return id, nil
}

// unseal opens a private key that was sealed for a purpose, or names the one in a token.
func (s *Store) unseal(sealed []byte, token, purpose string, about []byte) (any, error) {
	if s.sealer == nil {
		return nil, ErrNoKeyFile
	}
	der, err := s.sealer.open(sealed, purpose, about)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	if token != "" {
		public, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, ErrDamagedKey
		}
		return &certs.TokenKey{Half: public, Token: token}, nil
	}
	key, err := pkix.ParsePrivateKey(der)
	if err != nil {
		return nil, ErrDamagedKey // the cause might quote the key
	}
	return key, nil
}
