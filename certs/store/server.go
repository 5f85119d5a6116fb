package store

import (
	"context"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// Server is the state of the PostgreSQL server behind a store.
type Server struct {
	// Version is the major version, such as 15.
	Version int
	// Standby says that it only copies another server: nothing can be stored.
	Standby bool
	// ReadOnly says that it stores nothing for this user in this database.
	ReadOnly bool
	// Standbys are how many servers copy it now, and Synchronous those for which a commit
	// waits.
	Standbys, Synchronous int
	// Durable says that a commit is on stable storage when it returns.
	Durable bool
	// Skew is how far the server's clock is ahead of the local one, in seconds.
	Skew int64
}

// Server asks the server; ok is false for a store that has none.
func (s *Store) Server(ctx context.Context) (state Server, ok bool, err error) {
	if !postgresdb.Is(s.cfg.URL) {
		return Server{}, false, nil
	}
	var now int64
	err = s.read.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int / 10000, pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
		(SELECT count(*) FROM pg_stat_replication), (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
		current_setting('synchronous_commit') <> 'off' AND current_setting('fsync') = 'on', extract(epoch FROM clock_timestamp())::bigint`).
		Scan(&state.Version, &state.Standby, &state.ReadOnly, &state.Standbys, &state.Synchronous, &state.Durable, &now)
	if err != nil {
		return Server{}, true, fmt.Errorf("store %q: %w", postgresdb.Label(s.cfg.URL), err)
	}
	state.Skew = now - s.now()
	return state, true, nil
}
