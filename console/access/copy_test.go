package access

import (
	"errors"
	"path/filepath"
	"testing"
)

// A restore that failed, or another command on the host before it, leaves entries in the audit log
// of a new machine: they stand behind those that are copied. Anything else there is not mixed.
func TestCopyKeepsWhatTheHostDid(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		open := func() *Store {
			s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "console.db"), Clock: w.cfg.Clock, Log: w.cfg.Log})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
		to := open()
		host := Actor{Name: "erin", Via: ViaHost}
		if err := to.Record(t.Context(), Entry{Actor: host, Action: "restore", Failed: "no key"}); err != nil {
			t.Fatal(err)
		}
		c, err := w.Copy(t.Context(), to)
		if err != nil || c.Accounts != len(Roles) {
			t.Fatalf("%+v, %v", c, err)
		}
		last, broken, err := to.VerifyAudit(t.Context(), AuditPoint{})
		if err != nil || broken != 0 || last.ID != int64(c.Entries)+1 {
			t.Errorf("last %+v, broken %d, %v; %d were copied", last, broken, err, c.Entries)
		}
		list, err := to.Audit(t.Context(), AuditQuery{Limit: 1})
		if err != nil || len(list) != 1 || list[0].Action != "restore" || list[0].ID != last.ID {
			t.Errorf("%+v, %v", list, err)
		}
		if _, err := w.Copy(t.Context(), to); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("over accounts: %v", err)
		}
		used := open()
		if err := used.Record(t.Context(), Entry{Actor: Actor{Name: "x", Via: "console"}, Action: "held.release"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Copy(t.Context(), used); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("over what accounts did: %v", err)
		}
	})
}
