package queue

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// A job is written with the indexes by which the queue finds it, and with no others.
func TestIndexesOfJobs(t *testing.T) {
	for name, list := range map[string]string{
		"sqlite":     `SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'river_job'`,
		onPostgreSQL: `SELECT indexname FROM pg_indexes WHERE tablename = 'river_job' AND schemaname = current_schema() AND indexname <> 'river_job_pkey'`,
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, Config{})
			rows, err := q.db.QueryContext(t.Context(), list)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var found []string
			for rows.Next() {
				var index string
				if err := rows.Scan(&index); err != nil {
					t.Fatal(err)
				}
				found = append(found, index)
			}
			if err := rows.Err(); err != nil || !slices.Equal(found, []string{"river_job_prioritized_fetching_index"}) {
				t.Errorf("indexes %q, %v", found, err)
			}
		})
	}
}

// Another program may have tables of River in the same database, in a schema that is searched
// too: they are left as they are.
func TestIndexesOfOthers(t *testing.T) {
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	url := s.Database(t)
	name := url[strings.LastIndex(url, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	s.Run(t, name, `CREATE SCHEMA ours`)
	s.Run(t, name, `CREATE TABLE public.river_job (kind text)`)
	s.Run(t, name, `CREATE INDEX river_job_kind ON public.river_job (kind)`)
	cfg, err := postgresdb.Parse(url, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["search_path"] = "ours,public"
	for range 2 { // the first one makes the tables
		if err := makePostgreSQL(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	db, err := postgresdb.Open(t.Context(), cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_indexes WHERE tablename = 'river_job' AND schemaname = 'public'`).Scan(&n)
	if err != nil || n != 1 {
		t.Errorf("%d indexes are left, %v", n, err)
	}
}

// A user that does not own the tables, and may only use them, starts with the indexes of an earlier
// release.
func TestIndexesOfTheOwner(t *testing.T) {
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	url := s.Database(t)
	name := url[strings.LastIndex(url, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	cfg, err := postgresdb.Parse(url, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := makePostgreSQL(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	user := "user_of_" + name
	s.Run(t, name, `CREATE INDEX river_job_kind ON river_job (kind)`)
	s.Run(t, name, `CREATE ROLE `+user)
	t.Cleanup(func() {
		s.Run(t, name, `DROP OWNED BY `+user)
		s.Run(t, name, `DROP ROLE `+user)
	})
	s.Run(t, name, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+user)
	cfg.RuntimeParams["role"] = user
	if err := makePostgreSQL(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

// A step of River that names an index which is not there would fail. With a later River one has
// to look for that.
func TestStepsOfRiver(t *testing.T) {
	m, err := rivermigrate.New(riversqlite.New(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := m.AllVersions()
	if last := all[len(all)-1].Version; last != 8 {
		t.Errorf("River has a step %d: see whether it or those after 8 name an index in unread, which would have to be made before", last)
	}
}
