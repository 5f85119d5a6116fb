package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/cache"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

const (
	// maxOpened is how many opened identities are kept.
	maxOpened = 1000
	// maxAnswers is how many answers are kept, and maxArgument the longest argument, in
	// octets, of a question that has one kept: messages of strangers ask.
	maxAnswers, maxArgument = 10_000, 64
)

// keys finds identities by query. Opened ones are kept, by fingerprint: what a
// query does not name is not found, however it was removed. Answers are kept as long as
// the counters of the store say that no certificate was changed since, whichever process
// would have: a message costs a look at the counters, and not at the tables.
type keys struct {
	store   *Store
	answers *cache.Cache[question, *answer]

	mu sync.Mutex
	// removals is the counter of removed keys that opened and answers are as old as.
	removals int64
	opened   *cache.Cache[[32]byte, *certs.Identity]
}

// question is which identities are looked for.
type question struct {
	by       column
	argument string
}

// column is by what they are looked for.
type column int

const (
	byAddress column = iota // those in use
	bySerial
	byKeyID
)

// answer is what was found.
type answer struct {
	index   *certs.FileKeys
	counted counted
	// found is when, and until the end of a block that makes it another one; zero where
	// there is none.
	found, until time.Time
}

// current reports whether an answer is still that of the store.
func (a *answer) current(c counted, now time.Time) bool {
	return a.counted == c && !now.Before(a.found) && (a.until.IsZero() || now.Before(a.until))
}

// counted are the counters on which the answers depend.
type counted struct{ certificates, removals int64 }

func newKeys(s *Store) *keys {
	return &keys{
		store: s, opened: cache.New[[32]byte, *certs.Identity](maxOpened, nil),
		answers: cache.New[question, *answer](maxAnswers, nil),
	}
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
	return k.ask(ctx, question{byAddress, key})
}

// Decryption implements certs.Keys.
func (k *keys) Decryption(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	q := question{bySerial, serialText(pkix.Integer(rid.Serial))}
	if len(rid.SubjectKeyID) > 0 {
		q = question{byKeyID, string(rid.SubjectKeyID)}
	}
	index, err := k.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return index.Decryption(ctx, rid)
}

// ask returns the identities that a question is about: those found before, if they are
// still the ones.
func (k *keys) ask(ctx context.Context, q question) (*certs.FileKeys, error) {
	// Before the query: what it finds may be newer than the counters, and is asked for
	// again then.
	c, err := k.count(ctx)
	if err != nil {
		return nil, failed(err)
	}
	now := k.store.cfg.Clock()
	if a, ok := k.answers.Get(q); ok && a.current(c, now) {
		return a.index, nil
	}
	a := &answer{counted: c, found: now}
	list, err := k.asked(ctx, q)
	if err != nil {
		return nil, failed(err)
	}
	if q.by == byAddress {
		list, a.until = inUse(list, now)
	}
	ids, err := k.openAll(ctx, list)
	if err != nil {
		return nil, failed(err)
	}
	a.index = k.index(ids)
	k.keep(q, a)
	return a.index, nil
}

// count reads the counters. What was opened before the last removal of a key is
// forgotten: a key that was removed does not stay in our memory.
func (k *keys) count(ctx context.Context) (c counted, err error) {
	err = k.store.atOnce(ctx, `SELECT a.value, b.value FROM store_counter a, store_counter b
		WHERE a.name = '`+counterCertificates+`' AND b.name = '`+counterKeys+`'`, &c.certificates, &c.removals)
	if err != nil {
		return c, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.removals != k.removals {
		k.forget()
		k.removals = c.removals
	}
	return c, nil
}

// keep keeps an answer, unless a key was removed meanwhile: it may be in it.
func (k *keys) keep(q question, a *answer) {
	if len(q.argument) > maxArgument {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if a.counted.removals == k.removals {
		k.answers.Put(q, a)
	}
}

// asked is what the tables say to a question.
func (k *keys) asked(ctx context.Context, q question) ([]found, error) {
	switch q.by {
	case bySerial:
		return k.query(ctx, `WHERE c.serial = $1`, q.argument)
	case byKeyID:
		return k.query(ctx, `WHERE (c.key_id = $1 OR c.computed_id = $1)`, []byte(q.argument))
	}
	return k.query(ctx, `JOIN store_address a ON a.fingerprint = c.fingerprint WHERE a.address = $1
		AND NOT EXISTS (SELECT 1 FROM store_ledger l WHERE l.issuer = c.issuer AND l.serial = c.serial AND l.revoked_at <> 0)`, q.argument)
}

// inUse returns those that are not blocked, and when the first block of the others ends;
// the zero time if none does.
func inUse(list []found, now time.Time) (use []found, until time.Time) {
	for _, f := range list {
		if !f.blocked || !f.ends.IsZero() && now.After(f.ends) {
			use = append(use, f)
			continue
		}
		// The moment of its end is a part of a block.
		if after := f.ends.Add(time.Second); !f.ends.IsZero() && (until.IsZero() || after.Before(until)) {
			until = after
		}
	}
	return use, until
}

// index applies the rules that are the same for all keys.
func (k *keys) index(ids []*certs.Identity) *certs.FileKeys {
	return certs.NewKeys(k.store.cfg.Clock, ids...).WithLocalPart(k.store.cfg.LocalPart)
}

// found is what a query says of an identity.
type found struct {
	fingerprint [32]byte
	pinned      bool
	blocked     bool
	ends        time.Time // of the block; zero is never
}

func (k *keys) query(ctx context.Context, condition string, argument any) (list []found, err error) {
	rows, err := k.store.read.QueryContext(ctx, `SELECT c.fingerprint, c.pinned, c.mark = 'blocked', c.mark_until FROM store_certificate c
		JOIN store_key k ON k.fingerprint = c.fingerprint `+
		condition+` AND c.origin <> '`+string(Authority)+`'`, argument)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f found
		var fingerprint []byte
		var until int64
		if err := rows.Scan(&fingerprint, &f.pinned, &f.blocked, &until); err != nil {
			return nil, err
		}
		copy(f.fingerprint[:], fingerprint)
		f.ends = markEnd(moment(until))
		list = append(list, f)
	}
	return list, rows.Err()
}

// openAll opens identities.
func (k *keys) openAll(ctx context.Context, list []found) (ids []*certs.Identity, err error) {
	for _, f := range list {
		id, err := k.open(ctx, f)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoKey) {
			continue // removed since the query
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// open returns an identity, from those kept if it is there.
func (k *keys) open(ctx context.Context, f found) (*certs.Identity, error) {
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
func (k *keys) forget() {
	k.opened.Clear()
	k.answers.Clear()
}
