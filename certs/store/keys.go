package store

import (
	"context"
	"errors"
	"sync"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/cache"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// maxOpened is how many opened identities are kept.
const maxOpened = 1000

// keys finds identities by query. Opened ones are kept, by fingerprint: what a
// query does not name is not found, however it was removed.
type keys struct {
	store *Store

	mu sync.Mutex
	// removals is the counter of removed keys that opened is as old as.
	removals int64
	opened   *cache.Cache[[32]byte, *certs.Identity]
}

func newKeys(s *Store) *keys {
	return &keys{store: s, opened: cache.New[[32]byte, *certs.Identity](maxOpened, nil)}
}

// Keys returns the identities in the store but for those of our authorities. They
// are always those that are in it now, whichever process put or removed them.
func (s *Store) Keys() certs.Keys { return s.keys }

// Signing implements certs.Keys.
func (k *keys) Signing(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	index, err := k.ofAddress(ctx, addr)
	if err != nil || index == nil {
		return nil, err
	}
	return index.Signing(ctx, addr)
}

// ForReplies implements certs.Keys.
func (k *keys) ForReplies(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	index, err := k.ofAddress(ctx, addr)
	if err != nil || index == nil {
		return nil, err
	}
	return index.ForReplies(ctx, addr)
}

// ofAddress returns the identities in use of an address; nil for the null address.
// What the built-in CA has revoked, or an administrator blocked, signs no more and is
// no longer announced; it still decrypts.
func (k *keys) ofAddress(ctx context.Context, addr address.Address) (*certs.FileKeys, error) {
	key, ok := addressKey(addr)
	if !ok {
		return nil, nil
	}
	found, err := k.find(ctx, `JOIN store_address a ON a.fingerprint = c.fingerprint WHERE a.address = $1
		AND NOT (c.mark = 'blocked' AND (c.mark_until = 0 OR c.mark_until >= $2))
		AND NOT EXISTS (SELECT 1 FROM store_ledger l WHERE l.issuer = c.issuer AND l.serial = c.serial AND l.revoked_at <> 0)`, key, k.store.now())
	if err != nil {
		return nil, err
	}
	return k.index(found), nil
}

// Decryption implements certs.Keys.
func (k *keys) Decryption(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	condition, arg := `WHERE c.serial = $1`, any(serialText(pkix.Integer(rid.Serial)))
	if len(rid.SubjectKeyID) > 0 {
		condition, arg = `WHERE (c.key_id = $1 OR c.computed_id = $1)`, rid.SubjectKeyID
	}
	found, err := k.find(ctx, condition, arg)
	if err != nil {
		return nil, err
	}
	return k.index(found).Decryption(ctx, rid)
}

// index applies the rules that are the same for all keys.
func (k *keys) index(ids []*certs.Identity) *certs.FileKeys {
	return certs.NewKeys(k.store.cfg.Clock, ids...).WithLocalPart(k.store.cfg.LocalPart)
}

// found is what a query says of an identity.
type found struct {
	fingerprint [32]byte
	pinned      bool
}

// find returns the identities that a query names, opened.
func (k *keys) find(ctx context.Context, condition string, args ...any) ([]*certs.Identity, error) {
	list, removals, err := k.query(ctx, condition, args)
	if err != nil {
		return nil, failed(err)
	}
	var ids []*certs.Identity
	for _, f := range list {
		id, err := k.open(ctx, f, removals)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoKey) {
			continue // removed since the query
		}
		if err != nil {
			return nil, failed(err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (k *keys) query(ctx context.Context, condition string, args []any) (list []found, removals int64, err error) {
	rows, err := k.store.read.QueryContext(ctx, `SELECT c.fingerprint, c.pinned, n.value FROM store_certificate c
		JOIN store_key k ON k.fingerprint = c.fingerprint JOIN store_counter n ON n.name = 'keys' `+
		condition+` AND c.origin <> '`+string(Authority)+`'`, args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var f found
		var fingerprint []byte
		if err := rows.Scan(&fingerprint, &f.pinned, &removals); err != nil {
			return nil, 0, err
		}
		copy(f.fingerprint[:], fingerprint)
		list = append(list, f)
	}
	return list, removals, rows.Err()
}

// open returns an identity, from those kept if it is there.
func (k *keys) open(ctx context.Context, f found, removals int64) (*certs.Identity, error) {
	k.mu.Lock()
	if removals != k.removals {
		// A key was removed: it does not stay in our memory.
		k.opened.Clear()
		k.removals = removals
	}
	k.mu.Unlock()
	id, ok := k.opened.Get(f.fingerprint)
	if !ok {
		var err error
		if id, err = k.store.identity(ctx, f.fingerprint[:]); err != nil {
			return nil, err
		}
		k.opened.Put(f.fingerprint, id)
	}
	if id.Pinned == f.pinned {
		return id, nil
	}
	other := *id
	other.Pinned = f.pinned
	return &other, nil
}

// forget drops what is kept.
func (k *keys) forget() { k.opened.Clear() }
