package queue

import (
	"context"
	"database/sql"
	"embed"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The parts of a message that goes are noted in the statement that it goes by.
const (
	sqliteTrigger = `CREATE TRIGGER IF NOT EXISTS smimerelay_large_gone AFTER DELETE ON smimerelay_large
	BEGIN INSERT INTO smimerelay_wipe (parts) VALUES (old.parts); END`
	postgresTrigger = `CREATE FUNCTION smimerelay_large_gone() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO smimerelay_wipe (parts) VALUES (old.parts); RETURN old; END $$;
	CREATE TRIGGER smimerelay_large_gone AFTER DELETE ON smimerelay_large
	FOR EACH ROW EXECUTE FUNCTION smimerelay_large_gone()`
)

var layout = schema.Tables{
	Steps: migrations, Version: "smimerelay_queue_version",
	SQLite: []string{"LARGE_GONE", sqliteTrigger}, PostgreSQL: []string{"LARGE_GONE", postgresTrigger},
}

// tablesLock is held by a node that makes the tables.
const tablesLock postgresdb.Lock = 0x736d696d655f7175

// makeSQLite brings the tables of a file up to date.
func makeSQLite(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	if err := migrateRiver(ctx, riversqlite.New(db), db, sqliteIndexes, log); err != nil {
		return err
	}
	return layout.UpdateSQLite(ctx, db)
}

// makePostgreSQL brings the tables of a database up to date while other nodes wait.
func makePostgreSQL(ctx context.Context, cfg *pgx.ConnConfig, log *slog.Logger) error {
	db, err := postgresdb.Open(ctx, cfg, 2)
	if err != nil {
		return err
	}
	defer db.Close()
	lock, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := tablesLock.SessionLock(ctx, lock); err != nil {
		return err
	}
	defer tablesLock.SessionUnlock(context.WithoutCancel(ctx), lock)
	p, err := pgxpool.ParseConfig(cfg.ConnString())
	if err != nil {
		return err
	}
	p.ConnConfig, p.MaxConns = cfg.Copy(), 2
	pool, err := pgxpool.NewWithConfig(ctx, p)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrateRiver(ctx, riverpgxv5.New(pool), db, postgresIndexes, log); err != nil {
		return err
	}
	return layout.UpdatePostgreSQL(ctx, db)
}

// unread are the indexes of River's table that are for its client. The queue finds a job by its
// number, or by when it is due: nothing reads the others, and each message would write them.
var unread = []string{
	"river_job_kind", "river_job_state_and_finalized_at_index", "river_job_unique_idx", "river_job_args_index", "river_job_metadata_index",
}

// What indexes there are of the table: their names, and what DROP INDEX finds them by. Another
// program may have a River with indexes of the same names in a schema that is searched too.
// PostgreSQL lets only the owner drop one: they stay where the queue's user may just use the tables.
const (
	sqliteIndexes   = `SELECT name, name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'river_job'`
	postgresIndexes = `SELECT c.relname, c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'river_job'::regclass AND pg_has_role(c.relowner, 'USAGE')`
)

// migrateRiver brings River's tables up to date, without the indexes that are not read. A later
// step of River may name one of them: then it has to be made before.
func migrateRiver[T any](ctx context.Context, driver riverdriver.Driver[T], db *sql.DB, indexes string, log *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(warnings{log.Handler()})})
	if err != nil {
		return err
	}
	if _, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	drop, err := unreadOf(ctx, db, indexes)
	if err != nil {
		return err
	}
	for _, index := range drop {
		if _, err := db.ExecContext(ctx, `DROP INDEX IF EXISTS `+index); err != nil {
			return err
		}
	}
	return nil
}

// unreadOf returns by what DROP INDEX finds those in unread that there are.
func unreadOf(ctx context.Context, db *sql.DB, indexes string) (drop []string, err error) {
	rows, err := db.QueryContext(ctx, indexes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, found string
		if err := rows.Scan(&name, &found); err != nil {
			return nil, err
		}
		if slices.Contains(unread, name) {
			drop = append(drop, found)
		}
	}
	return drop, rows.Err()
}

// warnings lets through what an operator must know of River.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }
func (w warnings) WithGroup(n string) slog.Handler      { return warnings{w.Handler.WithGroup(n)} }
