package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestHistoryMoves: store migrate takes the history along, to PostgreSQL and back, and adds
// nothing to one that is there.
func TestHistoryMoves(t *testing.T) {
	dir := t.TempDir()
	server, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	database := server.Database(t)
	alice, err := address.Parse("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	h, err := history.Open(t.Context(), history.Place{Path: filepath.Join(dir, "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	row := history.Row{Time: time.Now(), ID: "4cWq3Y2JzXz9sQ", Direction: "outbound", Sender: alice, Recipient: alice, Outcome: history.Delivered}
	if _, err := h.Write(t.Context(), history.Batch{Rows: []history.Row{row}}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(dir, "back")
	if err := os.Mkdir(back, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "gw.toml")
	smimerelay := func(url string, args ...string) string {
		t.Helper()
		text := "[queue]\npath = \"" + filepath.Join(dir, "queue.db") + "\"\n[store]\nurl = \"" + url + "\"\nkey_file = \"" + filepath.Join(dir, "store.key") + "\"\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if status := run(append(args, "--config", file), &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: time.Now}); status != 0 {
			t.Fatalf("%v: %d, %s%s", args, status, out.String(), errs.String())
		}
		return out.String()
	}
	local, other := filepath.Join(dir, "store.db"), filepath.Join(back, "store.db")
	if out := smimerelay(local, "store", "migrate", "--to", database); !strings.Contains(out, "1 entries of the history copied\n") {
		t.Error(out)
	}
	if out := smimerelay(local, "store", "migrate", "--to", database); !strings.Contains(out, "has a history already") {
		t.Error(out)
	}
	if out := smimerelay(database, "store", "migrate", "--to", other); !strings.Contains(out, "1 entries of the history copied\n") {
		t.Error(out)
	}
	if out := smimerelay(other, "trace", row.ID); !strings.Contains(out, "alice@example.org") {
		t.Error(out)
	}
}
