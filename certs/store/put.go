package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// seenStep is how exact Entry.LastSeen is: who sees a certificate with every
// message does not write with every message.
const seenStep = int64(time.Hour / time.Second)

// item is what is to be put in, made ready.
type item struct {
	New
	fingerprint [sha256.Size]byte
	addresses   []address.Address
	ciphers     string
	preferred   string
	sealed      []byte // the private key; nil is none
	token       string // that has the key; "" is none
}

// Put stores certificates. One that the store does not take (see the limits in
// docs/store.md) is an error, and then nothing is stored.
func (s *Store) Put(ctx context.Context, origin Origin, list ...New) (Stored, error) {
	items := make([]item, 0, len(list))
	for _, n := range list {
		it, err := prepare(n)
		if err != nil {
			return Stored{}, failed(err)
		}
		items = append(items, it)
	}
	if stored, done, err := s.unchanged(ctx, origin, items); err != nil || done {
		return stored, err
	}
	return s.put(ctx, origin, items)
}

func prepare(n New) (it item, err error) {
	it.New = n
	if it.addresses, err = admit(n.Certificate, n.Chain); err != nil {
		return it, err
	}
	it.fingerprint = sha256.Sum256(n.Certificate.Raw)
	it.ciphers = joinCiphers(n.Ciphers)
	if n.Preferred != nil {
		preferred, err := json.Marshal(n.Preferred)
		if err != nil {
			return it, err
		}
		it.preferred = string(preferred)
	}
	return it, nil
}

func joinCiphers(list []cms.Cipher) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = string(c)
	}
	return strings.Join(words, ",")
}

// unchanged reports whether putting the items would change nothing, which is what
// most mail that comes in finds.
func (s *Store) unchanged(ctx context.Context, origin Origin, items []item) (Stored, bool, error) {
	if len(items) > 1 {
		return Stored{}, len(items) == 0, nil
	}
	for i := range items {
		k, err := known(ctx, s.read, items[i].fingerprint[:])
		if err != nil {
			return Stored{}, false, err
		}
		if k == nil || k.differs(origin, &items[i]) || k.notable(s.now(), &items[i]) {
			return Stored{}, false, nil
		}
	}
	return Stored{Known: len(items)}, true, nil
}

func (s *Store) put(ctx context.Context, origin Origin, items []item) (stored Stored, err error) {
	err = s.change(ctx, func(c *change) error {
		stored = Stored{}
		for i := range items {
			if err := s.putOne(ctx, c, origin, &items[i], &stored); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Stored{}, failed(err)
	}
	return stored, nil
}

func (s *Store) putOne(ctx context.Context, c *change, origin Origin, it *item, stored *Stored) error {
	k, err := known(ctx, c, it.fingerprint[:])
	if err != nil {
		return err
	}
	switch {
	case k == nil:
		stored.New++
		err = s.insert(ctx, c, origin, it)
	case k.differs(origin, it):
		stored.Changed++
		err = s.update(ctx, c, k, origin, it)
	default:
		stored.Known++
		if !k.notable(s.now(), it) {
			return nil
		}
		return s.note(ctx, c, k, it)
	}
	if err != nil {
		return err
	}
	c.certificates = true
	c.trust = c.trust || origin == Authority
	if what, ok := brought[origin]; ok && (k == nil || k.origin != origin) {
		if err := s.record(ctx, c, it.fingerprint[:], what, ""); err != nil {
			return err
		}
	}
	if it.sealed != nil {
		if err := s.putKey(ctx, c, it); err != nil {
			return err
		}
	}
	return putChain(ctx, c, it)
}

// brought are the origins that someone answers for.
var brought = map[Origin]ActionKind{Imported: WasImported, Issued: WasIssued, Authority: WasIssued}

// row is what is known of a certificate that comes again.
type row struct {
	origin             Origin
	lastSeen           int64
	ciphers, preferred string
	signedAt           int64
	result, reason     string
	hasKey             bool
	links              int // of its chain
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// known returns nil where the certificate is not in the store.
func known(ctx context.Context, q querier, fingerprint []byte) (*row, error) {
	var r row
	err := q.QueryRowContext(ctx, `SELECT origin, last_seen, ciphers, preferred, signed_at, result, reason,
		(SELECT COUNT(*) FROM store_key k WHERE k.fingerprint = c.fingerprint) > 0,
		(SELECT COUNT(*) FROM store_chain l WHERE l.fingerprint = c.fingerprint)
		FROM store_certificate c WHERE fingerprint = $1`, fingerprint).
		Scan(&r.origin, &r.lastSeen, &r.ciphers, &r.preferred, &r.signedAt, &r.result, &r.reason, &r.hasKey, &r.links)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// differs reports whether it tells something new of the certificate.
func (r *row) differs(origin Origin, it *item) bool {
	return stronger(r.origin, origin) != r.origin || r.claims(it) ||
		it.sealed != nil && !r.hasKey || r.links == 0 && len(it.Chain) > 0
}

// claims reports whether its owner tells something new about ciphers.
func (r *row) claims(it *item) bool {
	return r.claimsAgain(it) && (it.ciphers != r.ciphers || it.preferred != r.preferred)
}

// claimsAgain reports whether its owner tells of ciphers, and not before what is
// known was signed.
func (r *row) claimsAgain(it *item) bool { return it.ciphers != "" && stamp(it.SignedAt) >= r.signedAt }

// rejudged reports whether the verdict is another one.
func (r *row) rejudged(it *item) bool {
	return it.Verdict.Result != "" && (string(it.Verdict.Result) != r.result || string(it.Verdict.Reason) != r.reason)
}

// notable reports whether it is worth a write that the certificate came as it is.
func (r *row) notable(now int64, it *item) bool {
	return now-r.lastSeen >= seenStep || r.rejudged(it) || r.claimsAgain(it) && stamp(it.SignedAt)-r.signedAt >= seenStep
}

func (s *Store) insert(ctx context.Context, c *change, origin Origin, it *item) error {
	cert := it.Certificate
	var keyID, computed any // NULL where there is none
	if len(cert.SubjectKeyId) > 0 {
		keyID = cert.SubjectKeyId
	}
	if id := pkix.ComputedKeyID(cert); id != nil && string(id) != string(cert.SubjectKeyId) {
		computed = id
	}
	_, err := c.ExecContext(ctx, `INSERT INTO store_certificate
		(fingerprint, der, issuer, serial, key_id, computed_id, not_before, not_after, origin, first_seen, last_seen,
		 ciphers, preferred, signed_at, result, reason, judged_at, generation)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15, $16, $17)`,
		it.fingerprint[:], cert.Raw, issuerKey(cert.RawIssuer), serialText(cert.SerialNumber), keyID, computed,
		cert.NotBefore.Unix(), cert.NotAfter.Unix(), string(origin), s.now(),
		it.ciphers, it.preferred, stamp(it.SignedAt), string(it.Verdict.Result), string(it.Verdict.Reason), s.judged(it), c.generation)
	if err != nil {
		return err
	}
	for _, a := range it.addresses {
		key, ok := addressKey(a)
		if !ok {
			continue
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO store_address (address, fingerprint) VALUES ($1, $2)
			ON CONFLICT DO NOTHING`, key, it.fingerprint[:]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) update(ctx context.Context, c *change, k *row, origin Origin, it *item) error {
	if _, err := c.ExecContext(ctx, `UPDATE store_certificate SET origin = $1, generation = $2 WHERE fingerprint = $3`,
		string(stronger(k.origin, origin)), c.generation, it.fingerprint[:]); err != nil {
		return err
	}
	return s.note(ctx, c, k, it)
}

// note writes down what does not make another certificate of it: that it was seen,
// how it was judged, and when its owner last said what is known of ciphers.
func (s *Store) note(ctx context.Context, c *change, k *row, it *item) error {
	ciphers, preferred, signedAt := k.ciphers, k.preferred, k.signedAt
	if k.claimsAgain(it) {
		ciphers, preferred, signedAt = it.ciphers, it.preferred, stamp(it.SignedAt)
	}
	if _, err := c.ExecContext(ctx, `UPDATE store_certificate SET last_seen = $1, ciphers = $2, preferred = $3, signed_at = $4 WHERE fingerprint = $5`,
		s.now(), ciphers, preferred, signedAt, it.fingerprint[:]); err != nil {
		return err
	}
	return s.judge(ctx, c, it)
}

func (s *Store) judge(ctx context.Context, c *change, it *item) error {
	if it.Verdict.Result == "" {
		return nil
	}
	_, err := c.ExecContext(ctx, `UPDATE store_certificate SET result = $1, reason = $2, judged_at = $3 WHERE fingerprint = $4`,
		string(it.Verdict.Result), string(it.Verdict.Reason), s.judged(it), it.fingerprint[:])
	return err
}

func (s *Store) judged(it *item) int64 {
	if it.Verdict.Result == "" {
		return 0
	}
	return s.now()
}

// putChain stores what came with a certificate, unless it has a chain.
func putChain(ctx context.Context, c *change, it *item) error {
	for i, other := range it.Chain {
		fp := sha256.Sum256(other.Raw)
		if _, err := c.ExecContext(ctx, `INSERT INTO store_intermediate (fingerprint, der) VALUES ($1, $2) ON CONFLICT DO NOTHING`, fp[:], other.Raw); err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO store_chain (fingerprint, position, intermediate) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			it.fingerprint[:], i, fp[:]); err != nil {
			return err
		}
	}
	return nil
}

// addressKey is what an address is filed under. What is not UTF-8 is not filed:
// PostgreSQL has no text for it, and no mail is sent there.
func addressKey(a address.Address) (string, bool) {
	key := a.Key(address.IgnoreCase)
	return key, utf8.ValidString(key) && !a.IsNull()
}

// mailboxKey is what orders and invitations are filed under: two addresses have one where
// they are the same mailbox.
func (s *Store) mailboxKey(a address.Address) (string, bool) {
	_, ok := addressKey(a)
	return a.Key(s.cfg.LocalPart), ok
}

// Same reports whether two addresses are the same mailbox.
func (s *Store) Same(a, b address.Address) bool { return a.Equal(b, s.cfg.LocalPart) }

// issuerKey is what an issuer is filed under: one key for all forms in which its
// name may be written.
func issuerKey(raw []byte) []byte {
	sum := sha256.Sum256([]byte(pkix.NameKey(raw)))
	return sum[:]
}

func serialText(n *big.Int) string { return n.Text(16) }
