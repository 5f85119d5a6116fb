package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestStoresThatDoNotOpen: one line each, which names the store and no password.
func TestStoresThatDoNotOpen(t *testing.T) {
	dir := t.TempDir()
	notSQLite, password := filepath.Join(dir, "text"), filepath.Join(dir, "password")
	for path, text := range map[string]string{notSQLite: strings.Repeat("no database at all\n", 100), password: "wrong-password\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("wrong-password"), 0o644); err != nil {
		t.Fatal(err)
	}
	secret := testpki.Must(server()).Secret(t, newDatabase(t))
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{URL: filepath.Join(dir, "missing", "store.db")}, "no such file or directory"},
		{Config{URL: dir}, dir},
		{Config{URL: notSQLite}, "not a database"},
		{Config{URL: "postgres://u:wrong-password@[/x"}, "postgres://…"},
		{Config{URL: "postgres://u:wrong-password@127.0.0.1:1/x"}, `store "postgres://u@127.0.0.1:1/x"`},
		{Config{URL: "postgres://u@/x?password=wrong-password&host=/nowhere"}, `store "postgres://u@/x?host=/nowhere": there is no socket of a server in /nowhere`},
		{Config{URL: secret, PasswordFile: password}, "password authentication failed"},
		{Config{URL: secret, PasswordFile: open}, "chmod 0600"},
		{Config{URL: secret, PasswordFile: password + "2"}, "no such file"},
		{Config{Key: []byte("short")}, "5 octets, not 32"},
	} {
		s, err := Open(context.Background(), c.cfg)
		if err == nil {
			t.Errorf("%s: opened", c.want)
			s.Close()
			continue
		}
		if text := err.Error(); !strings.Contains(text, c.want) || strings.Contains(text, "wrong-password") || strings.ContainsAny(text, "\n\t") || len(text) > 400 {
			t.Errorf("%s: %v", c.want, err)
		}
	}
	if err := os.WriteFile(password, []byte(pgtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	newWorld(t, "").open(Config{URL: secret, PasswordFile: password})
}

// TestLaterRelease: tables that a later release made are left alone.
func TestLaterRelease(t *testing.T) {
	for _, url := range []string{newFile(t), newDatabase(t)} {
		w := newWorld(t, url)
		if _, err := w.write.Exec(`INSERT INTO store_version (version_id, is_applied) VALUES (9999, TRUE)`); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), w.cfg); err == nil || !strings.Contains(err.Error(), "of a later release (9999") {
			t.Error(err)
		}
	}
}

// TestFilesBelongToTheirFolder: what root makes in the gateway's folder is the
// gateway's.
func TestFilesBelongToTheirFolder(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can give files away")
		return
	}
	const gateway = 12345
	dir := t.TempDir()
	if err := os.Chown(dir, gateway, gateway); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, filepath.Join(dir, "store.db"))
	testpki.Must(CreateKey(filepath.Join(dir, "store.key")))
	testpki.Must(w.PutIdentity(context.Background(), Imported, w.identity(1, "a@example.com")))
	files := testpki.Must(os.ReadDir(dir))
	if len(files) < 3 {
		t.Errorf("%d files", len(files))
	}
	for _, f := range files {
		info := testpki.Must(f.Info())
		if owner(info) != gateway || info.Mode().Perm() != 0o600 {
			t.Errorf("%s belongs to %d, mode %o", f.Name(), owner(info), info.Mode().Perm())
		}
	}
}

func owner(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// TestOpenedAtOnce: an empty store that many open at the same time is set up once.
func TestOpenedAtOnce(t *testing.T) {
	for _, url := range []string{newFile(t), newDatabase(t)} {
		w := newWorld(t, "")
		cfg := w.cfg
		cfg.URL = url
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := Open(context.Background(), cfg)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var versions int
		w.must(w.open(cfg).read.QueryRow(`SELECT COUNT(*) FROM store_version WHERE version_id = 1`).Scan(&versions))
		if versions != 1 {
			t.Errorf("the tables were made %d times", versions)
		}
	}
}

// TestNodesWait: a process that opens a store in PostgreSQL waits for another who sets it up.
func TestNodesWait(t *testing.T) {
	w := newWorld(t, "")
	w.cfg.URL = newDatabase(t)
	ctx := context.Background()
	db := testpki.Must(sql.Open("pgx", w.cfg.URL))
	defer db.Close()
	other := testpki.Must(db.Conn(ctx))
	w.must(tablesLock.SessionLock(ctx, other))
	opened := make(chan error)
	go func() {
		s, err := Open(ctx, w.cfg)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	for waiting := 0; waiting == 0; {
		w.must(db.QueryRow(`SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`).Scan(&waiting))
		select {
		case err := <-opened:
			t.Fatalf("it was opened in the middle: %v", err)
		default:
		}
	}
	w.must(tablesLock.SessionUnlock(ctx, other))
	w.must(<-opened)
	w.must(other.Close())
}

// TestOddPaths: a path is a path, whatever a URL would make of it.
func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "a?b=c.db", "50%41.db", "a#b.db", "file:x.db", "ä.db"} {
		path := filepath.Join(t.TempDir(), name)
		w := newWorld(t, path)
		testpki.Must(w.PutIdentity(context.Background(), Imported, w.identity(1, "a@example.com")))
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: %v", name, err)
		}
	}
}
