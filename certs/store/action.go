package store

import (
	"context"
	"math/big"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// Action is something that was done with a certificate.
type Action struct {
	Time time.Time  `json:"time"`
	What ActionKind `json:"action"`
	// By is who did it and by what means, such as "alice (console)"; "gateway" is the
	// gateway itself, by its configuration.
	By   string `json:"by"`
	Note string `json:"note,omitempty"`
}

// ActionKind is what was done.
type ActionKind string

// The kinds of actions.
const (
	WasImported ActionKind = "imported"
	WasIssued   ActionKind = "issued"
	WasRevoked  ActionKind = "revoked"
	WasAllowed  ActionKind = "allowed"
	WasBlocked  ActionKind = "blocked"
	WasCleared  ActionKind = "cleared" // neither allowed nor blocked any more
	WasPinned   ActionKind = "pinned"
	WasUnpinned ActionKind = "unpinned"
)

type actorKey struct{}

// gatewayActor is who acts where the context names no one.
const gatewayActor = "gateway"

// WithActor returns a context in which by is who changes the store.
func WithActor(ctx context.Context, by string) context.Context {
	return context.WithValue(ctx, actorKey{}, by)
}

func actor(ctx context.Context) string {
	if by, ok := ctx.Value(actorKey{}).(string); ok && by != "" {
		return postgresdb.Text(by)
	}
	return gatewayActor
}

// record notes an action, in the transaction of the change.
func (s *Store) record(ctx context.Context, c *change, fingerprint []byte, what ActionKind, note string) error {
	_, err := c.ExecContext(ctx, `INSERT INTO store_action (fingerprint, at, action, actor, note) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, fingerprint, s.now(), string(what), actor(ctx), postgresdb.Text(note))
	return err
}

// recordRevoked notes a revocation; the certificate need not be in the store.
func (s *Store) recordRevoked(ctx context.Context, c *change, issuer []byte, serial *big.Int) error {
	_, err := c.ExecContext(ctx, `INSERT INTO store_action (fingerprint, at, action, actor, note)
		SELECT fingerprint, CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), '' FROM store_certificate WHERE issuer = $4 AND serial = $5
		ON CONFLICT DO NOTHING`, s.now(), string(WasRevoked), actor(ctx), issuerKey(issuer), serialText(serial))
	return err
}

// Actions returns what was done with a certificate, oldest first.
func (s *Store) Actions(ctx context.Context, fingerprint [32]byte) ([]Action, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT at, action, actor, note FROM store_action WHERE fingerprint = $1 ORDER BY at, action`, fingerprint[:])
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var all []Action
	for rows.Next() {
		var a Action
		var at int64
		if err := rows.Scan(&at, &a.What, &a.By, &a.Note); err != nil {
			return nil, failed(err)
		}
		a.Time = moment(at)
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return all, nil
}
