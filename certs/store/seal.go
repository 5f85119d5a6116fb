package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
)

// KeySize is the length of Config.Key in octets.
const KeySize = 32

// sealVersion begins what is sealed, so that another way can follow one day.
const sealVersion = 1

// What a sealed value is for is bound to it as additional data: a key can not be
// moved to another row, nor the check value pass for a key.
const (
	forKey   = "smimerelay private key\x00"
	forOrder = "smimerelay ordered key\x00"
	forCheck = "smimerelay check value\x00"
)

// ErrNoKeyFile means that private keys were to be kept or read without Config.Key.
var ErrNoKeyFile = errors.New("private keys can not be kept or read: there is no key file; set store.key_file")

// ErrWrongKey means that Config.Key is not the key of the store.
var ErrWrongKey = errors.New("the private keys in the store are encrypted with another key file")

// ErrDamagedKey means that a private key in the store does not open, and never will.
var ErrDamagedKey = errors.New("a private key in the store does not open: it was damaged or changed")

// sealer encrypts private keys with AES-256-GCM and random nonces: 2^32 of them
// are safe under one key (NIST SP 800-38D section 8.3).
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the key has %d octets, not %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // the nonce stands before the ciphertext
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

// seal returns version, nonce, and ciphertext with tag.
func (s *sealer) seal(plain []byte, purpose string, about []byte) []byte {
	return s.aead.Seal([]byte{sealVersion}, nil, plain, additional(purpose, about)) //nolint:gosec // G407: it makes the nonce itself
}

func (s *sealer) open(sealed []byte, purpose string, about []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, ErrDamagedKey
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], additional(purpose, about))
	if err != nil {
		return nil, ErrDamagedKey
	}
	return plain, nil
}

func additional(purpose string, about []byte) []byte {
	return append([]byte{sealVersion}, purpose+string(about)...)
}

// settingCheck is the name of the sealed value that tells the right key.
const settingCheck = "key-check"

// checkKey refuses a key that is not the store's.
func (s *Store) checkKey(ctx context.Context) error {
	if s.sealer == nil {
		return nil
	}
	var sealed []byte
	err := s.read.QueryRowContext(ctx, `SELECT value FROM store_setting WHERE name = $1`, settingCheck).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // it comes with the first private key
	}
	if err != nil {
		return err
	}
	return s.sealer.check(sealed)
}

func (s *sealer) check(sealed []byte) error {
	if _, err := s.open(sealed, forCheck, nil); err != nil {
		return ErrWrongKey
	}
	return nil
}

// keepCheck notes the key with the first private key; another process may have
// done so with another key since the store was opened.
func (s *sealer) keepCheck(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO store_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
		settingCheck, s.seal(nil, forCheck, nil))
	if err != nil {
		return err
	}
	var sealed []byte
	if err := tx.QueryRowContext(ctx, `SELECT value FROM store_setting WHERE name = $1`, settingCheck).Scan(&sealed); err != nil {
		return err
	}
	return s.check(sealed)
}
