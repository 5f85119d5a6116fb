package store

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// WhyNot implements certs.Keys: what our own authority revoked, or what was
// blocked, is still there and signs no more.
func (k *keys) WhyNot(ctx context.Context, addr address.Address) string {
	key, ok := addressKey(addr)
	if !ok {
		return ""
	}
	if why := k.withdrawn(ctx, key); why != "" {
		return why
	}
	found, err := k.query(ctx, `JOIN store_address a ON a.fingerprint = c.fingerprint WHERE a.address = $1`, key)
	if err != nil {
		return ""
	}
	ids, err := k.openAll(ctx, found)
	if err != nil {
		return ""
	}
	return k.index(ids).WhyNot(ctx, addr)
}

// withdrawn says when the newest identity of an address was revoked, or that it is
// blocked.
func (k *keys) withdrawn(ctx context.Context, key string) string {
	var revoked int64
	err := k.store.read.QueryRowContext(ctx, `SELECT COALESCE(l.revoked_at, 0) FROM store_certificate c
		JOIN store_key k ON k.fingerprint = c.fingerprint
		JOIN store_address a ON a.fingerprint = c.fingerprint
		LEFT JOIN store_ledger l ON l.issuer = c.issuer AND l.serial = c.serial
		WHERE a.address = $1 AND (COALESCE(l.revoked_at, 0) <> 0 OR c.mark = 'blocked' AND (c.mark_until = 0 OR c.mark_until >= $2))
		ORDER BY c.not_before DESC`, key, lastDaySince(k.store.cfg.Clock())).Scan(&revoked)
	switch {
	case err != nil: // sql.ErrNoRows too
		return ""
	case revoked != 0:
		return "revoked " + moment(revoked).UTC().Format(time.DateOnly)
	}
	return "blocked by an administrator"
}
