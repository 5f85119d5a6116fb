package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// entryColumns are what scanEntry reads.
const entryColumns = `c.fingerprint, c.der, c.origin, c.first_seen, c.last_seen, c.ciphers, c.preferred, c.signed_at,
	c.result, c.reason, c.judged_at, c.mark, c.note, c.mark_until, c.pinned,
	(SELECT k.token FROM store_key k WHERE k.fingerprint = c.fingerprint),
	COALESCE(l.revoked_at, 0), COALESCE(l.reason, 0)`

const entryTables = ` FROM store_certificate c LEFT JOIN store_ledger l ON l.issuer = c.issuer AND l.serial = c.serial`

// Find returns the entries that q asks for; none is not an error.
func (s *Store) Find(ctx context.Context, q Query) ([]Entry, error) {
	c, err := q.conditions()
	if err != nil {
		return nil, failed(err)
	}
	text := `SELECT ` + entryColumns + entryTables + c.where() + q.order()
	if q.Limit > 0 && !s.filters(q) {
		text += fmt.Sprintf(` LIMIT %d`, q.Limit)
	}
	entries, err := s.entries(ctx, text, c.args)
	if err != nil {
		return nil, failed(err)
	}
	if s.filters(q) {
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return !s.names(e.Addresses, *q.Address) })
		if q.Limit > 0 {
			entries = entries[:min(q.Limit, len(entries))]
		}
	}
	if q.Chain {
		for i := range entries {
			if entries[i].Chain, err = s.chain(ctx, entries[i].Fingerprint[:]); err != nil {
				return nil, failed(err)
			}
		}
	}
	return entries, nil
}

// Count returns how many entries q asks for, whatever its Limit.
func (s *Store) Count(ctx context.Context, q Query) (n int, err error) {
	q.Limit = 0
	if s.filters(q) {
		entries, err := s.Find(ctx, q)
		return len(entries), err
	}
	c, err := q.conditions()
	if err == nil {
		err = s.read.QueryRowContext(ctx, `SELECT COUNT(*)`+entryTables+c.where(), c.args...).Scan(&n)
	}
	if err != nil {
		return 0, failed(err)
	}
	return n, nil
}

// filters reports whether the rule for local parts is stricter than the index.
func (s *Store) filters(q Query) bool {
	return q.Address != nil && s.cfg.LocalPart != address.IgnoreCase
}

func (s *Store) names(list []address.Address, addr address.Address) bool {
	return slices.ContainsFunc(list, func(a address.Address) bool { return a.Equal(addr, s.cfg.LocalPart) })
}

func (q Query) order() string {
	if q.Address != nil { // as certs.ByAge
		return ` ORDER BY c.not_before DESC, c.not_after DESC, c.fingerprint`
	}
	return ` ORDER BY c.fingerprint`
}

// conditions collects the parts of a WHERE and their arguments.
type conditions struct {
	parts []string
	args  []any
}

// add appends a condition in which each %s stands for one of the arguments.
func (c *conditions) add(format string, args ...any) {
	names := make([]any, len(args))
	for i, a := range args {
		c.args = append(c.args, a)
		names[i] = fmt.Sprintf("$%d", len(c.args))
	}
	c.parts = append(c.parts, fmt.Sprintf(format, names...))
}

func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

func (q Query) conditions() (c conditions, err error) {
	if q.Address != nil {
		key, ok := addressKey(*q.Address)
		if !ok {
			key = "" // of no certificate
		}
		c.add(`c.fingerprint IN (SELECT fingerprint FROM store_address WHERE address = %s)`, key)
	}
	if q.Prefix != "" {
		if err := c.prefix(q.Prefix); err != nil {
			return c, err
		}
	}
	if q.Issuer != nil {
		c.add(`c.issuer = %s`, issuerKey(q.Issuer))
	}
	if q.Serial != nil {
		c.add(`c.serial = %s`, serialText(q.Serial))
	}
	if q.KeyID != nil {
		c.add(`(c.key_id = %s OR c.computed_id = %s)`, q.KeyID, q.KeyID)
	}
	c.kinds(q)
	if !q.EndsBefore.IsZero() {
		c.add(`c.not_after < %s`, q.EndsBefore.Unix())
	}
	if q.After != nil {
		c.add(`c.fingerprint > %s`, q.After)
	}
	return c, nil
}

// kinds asks by what few have, such as a mark, from those that have it: where it
// follows from nothing else which are few, SQLite would look at all certificates in
// the order that is asked for.
func (c *conditions) kinds(q Query) {
	few := q.Address == nil && q.Prefix == ""
	if len(q.Origins) == 1 && q.Origins[0] == Authority && few {
		c.add(`c.fingerprint IN (SELECT fingerprint FROM store_certificate WHERE origin = 'authority')`)
	} else if len(q.Origins) > 0 {
		args := make([]any, len(q.Origins))
		for i, o := range q.Origins {
			args[i] = string(o)
		}
		c.add(`c.origin IN (`+strings.TrimSuffix(strings.Repeat("%s,", len(args)), ",")+`)`, args...)
	}
	switch {
	case q.HasKey == nil:
	case *q.HasKey && few:
		c.add(`c.fingerprint IN (SELECT fingerprint FROM store_key)`)
	case *q.HasKey:
		c.add(`EXISTS (SELECT 1 FROM store_key k WHERE k.fingerprint = c.fingerprint)`)
	default:
		c.add(`NOT EXISTS (SELECT 1 FROM store_key k WHERE k.fingerprint = c.fingerprint)`)
	}
	switch {
	case q.Mark == NoMark:
	case few:
		c.add(`c.fingerprint IN (SELECT fingerprint FROM store_certificate WHERE mark <> '' AND mark = %s)`, string(q.Mark))
	default:
		c.add(`c.mark = %s`, string(q.Mark))
	}
}

// prefix asks for fingerprints from the digits with zeros behind them to the
// digits with effs behind them.
func (c *conditions) prefix(text string) error {
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
	pad := 2*sha256.Size - len(digits)
	if pad < 0 || pad == 2*sha256.Size {
		return fmt.Errorf("%q is not the beginning of a SHA-256 fingerprint", text)
	}
	low, err := hex.DecodeString(digits + strings.Repeat("0", pad))
	if err != nil {
		return fmt.Errorf("%q is not the beginning of a SHA-256 fingerprint", text)
	}
	high, err := hex.DecodeString(digits + strings.Repeat("f", pad))
	if err != nil {
		return err
	}
	c.add(`c.fingerprint BETWEEN %s AND %s`, low, high)
	return nil
}

func (s *Store) entries(ctx context.Context, text string, args []any) ([]Entry, error) {
	rows, err := s.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

func scanEntry(rows *sql.Rows) (e Entry, err error) {
	var fingerprint, der []byte
	var ciphers, preferred string
	var token sql.NullString
	var first, last, signedAt, judged, until, revoked int64
	if err := rows.Scan(&fingerprint, &der, &e.Origin, &first, &last, &ciphers, &preferred, &signedAt,
		&e.Result, &e.Reason, &judged, &e.Mark, &e.Note, &until, &e.Pinned, &token,
		&revoked, &e.RevocationReason); err != nil {
		return e, err
	}
	copy(e.Fingerprint[:], fingerprint)
	e.HasKey, e.Token = token.Valid, token.String
	if e.Certificate, err = parse(der); err != nil {
		return e, fmt.Errorf("certificate %x: %w", fingerprint, err)
	}
	e.Addresses = certs.Addresses(e.Certificate)
	e.FirstSeen, e.LastSeen, e.JudgedAt = moment(first), moment(last), moment(judged)
	e.SignedAt, e.Until, e.RevokedAt = moment(signedAt), moment(until), moment(revoked)
	e.Ciphers = splitCiphers(ciphers)
	if preferred != "" {
		e.Preferred = new(cms.ID)
		err = json.Unmarshal([]byte(preferred), e.Preferred)
	}
	return e, err
}

func splitCiphers(text string) []cms.Cipher {
	if text == "" {
		return nil
	}
	var list []cms.Cipher
	for word := range strings.SplitSeq(text, ",") {
		list = append(list, cms.Cipher(word))
	}
	return list
}

// chain returns the certificates that came with one.
func (s *Store) chain(ctx context.Context, fingerprint []byte) ([]*x509.Certificate, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT i.der FROM store_chain l
		JOIN store_intermediate i ON i.fingerprint = l.intermediate WHERE l.fingerprint = $1 ORDER BY l.position`, fingerprint)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*x509.Certificate
	for rows.Next() {
		var der []byte
		if err := rows.Scan(&der); err != nil {
			return nil, err
		}
		c, err := parse(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// parse reads what was a certificate when it was stored.
func parse(der []byte) (*x509.Certificate, error) {
	c, err := pkix.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("what is stored is damaged: %w", err)
	}
	return c, nil
}
