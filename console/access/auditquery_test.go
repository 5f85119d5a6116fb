package access

import (
	"fmt"
	"testing"
	"time"
)

// TestAuditQuery: entries are found by who, what and when, and nothing that is asked for is a
// pattern, or a way into the statement.
func TestAuditQuery(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, e := range []Entry{ // 4 and so on, an hour apart: three accounts were added
			{Actor: Actor{Name: "alice", Via: "console"}, Action: "held.release", Object: "h3"},
			{Actor: Actor{Name: "alice/c_i", Via: "api"}, Action: "certificate.import", Object: "aaaa bbbb"},
			{Actor: Actor{Name: "alicex", Via: "console"}, Action: "held.return", Object: "h33"},
			{Actor: Actor{Name: "Erin", Via: ViaHost}, Action: "certificate.issue", Object: "Bob@example.org"},
			{Actor: Actor{Name: "alice/cxi", Via: "api"}, Action: "heldx", Object: "100%"},
		} {
			w.advance(time.Hour)
			if err := w.Record(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		at := func(hours int) time.Time { return w.cfg.Clock().Add(time.Duration(hours-5) * time.Hour) }
		for _, c := range []struct {
			AuditQuery
			want string
		}{
			{AuditQuery{}, "[8 7 6 5 4 3 2 1]"},
			{AuditQuery{Who: "Alice"}, "[8 5 4]"},
			{AuditQuery{Who: "alice/c_i"}, "[5]"},
			{AuditQuery{Who: "erin"}, "[7]"},
			{AuditQuery{Who: "%"}, "[]"},
			{AuditQuery{Who: "' OR 1=1 --"}, "[]"},
			{AuditQuery{What: "held"}, "[6 4]"},
			{AuditQuery{What: "held.release"}, "[4]"},
			{AuditQuery{What: "h3"}, "[4]"},
			{AuditQuery{What: "bbbb"}, "[5]"},
			{AuditQuery{What: "bob@EXAMPLE.org"}, "[7]"},
			{AuditQuery{What: "100%"}, "[8]"},
			{AuditQuery{What: "%"}, "[]"},
			{AuditQuery{What: `\`}, "[]"},
			{AuditQuery{Since: at(2), Until: at(4)}, "[6 5]"},
			{AuditQuery{Since: at(2).In(time.FixedZone("", 3600)), Until: at(4)}, "[6 5]"},
			{AuditQuery{Who: "alice", What: "held", Since: at(2)}, "[]"},
			{AuditQuery{Who: "alice", Before: 8, Limit: 1}, "[5]"},
		} {
			if c.Limit == 0 {
				c.Limit = maxAudit
			}
			list, err := w.Audit(ctx, c.AuditQuery)
			ids := []int64{}
			for _, e := range list {
				ids = append(ids, e.ID)
			}
			if got := fmt.Sprint(ids); err != nil || got != c.want {
				t.Errorf("%+v: %s, want %s: %v", c.AuditQuery, got, c.want, err)
			}
		}
	})
}
