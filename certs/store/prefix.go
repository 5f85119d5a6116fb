package store

import (
	"context"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// AddressesWithPrefix returns up to limit addresses, named by certificates in the store, that
// begin with a text, in their order. Authorities name none.
func (s *Store) AddressesWithPrefix(ctx context.Context, text string, limit int) ([]address.Address, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT address FROM store_address WHERE address LIKE $1 ESCAPE '\' ORDER BY address LIMIT $2`,
		strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(strings.ToValidUTF8(text, "\uFFFD")))+"%", limit)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var list []address.Address
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, failed(err)
		}
		if a, err := address.ParseUnquoted(key); err == nil {
			list = append(list, a)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}
