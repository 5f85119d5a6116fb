package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// PartnerQuery chooses addresses of partners.
type PartnerQuery struct {
	// Domain: only in this domain, as an address has it; "" is any.
	Domain string
	// After: only those that come after this one, which a call before returned.
	After string
	// Limit is the most addresses.
	Limit int
}

// Partners returns the addresses for which the store has certificates of others, in the order in
// which they are compared.
func (s *Store) Partners(ctx context.Context, q PartnerQuery) ([]address.Address, error) {
	var c conditions
	c.add(`a.address > %s`, q.After)
	if q.Domain != "" {
		escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
		c.add(`a.address LIKE %s ESCAPE '\'`, "%@"+escape.Replace(strings.ToLower(q.Domain)))
	}
	c.add(`EXISTS (SELECT 1 FROM store_certificate c WHERE c.fingerprint = a.fingerprint AND c.origin NOT IN (%s, %s)
		AND NOT EXISTS (SELECT 1 FROM store_key k WHERE k.fingerprint = c.fingerprint))`, string(Issued), string(Authority))
	c.args = append(c.args, q.Limit)
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT a.address FROM store_address a`+c.where()+` ORDER BY a.address LIMIT $`+strconv.Itoa(len(c.args)), c.args...)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var list []address.Address
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, failed(err)
		}
		a, err := fromKey(text)
		if err != nil {
			return nil, failed(err) // it was one when it was stored
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}

// fromKey returns the address of a comparison key, whose local part has no quotation marks.
func fromKey(key string) (address.Address, error) {
	a, err := address.Parse(key)
	if err == nil {
		return a, nil
	}
	at := strings.LastIndexByte(key, '@')
	if at < 0 {
		return a, err
	}
	return address.Parse(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key[:at]) + `"` + key[at:])
}
