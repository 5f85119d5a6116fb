package access

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// AuditQuery chooses entries of the audit log: those for which all that is set holds.
type AuditQuery struct {
	// Who is the name of an actor. That of an account stands for its tokens as well, and that of
	// a token is OWNER/LABEL.
	Who string
	// What is an action such as held.release, its first word such as held, or what was changed:
	// an address, a fingerprint, the name of an account.
	What string
	// Since and Until bound the time: from the one on, and before the other, in whole seconds.
	Since, Until time.Time
	// Before is a number that those of all entries are below; 0 is none.
	Before int64
	// Limit is how many entries there are at most: 1 to 1000.
	Limit int
}

// maxAudit is the most entries that Audit returns at once.
const maxAudit = 1000

// Audit returns entries, the latest first.
func (s *Store) Audit(ctx context.Context, q AuditQuery) ([]Entry, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, "("+strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args)))+")")
	}
	if q.Who != "" {
		who := "lower(" + s.inEntry("actor", "name") + ")"
		add(like(who, "lower(?)")+" OR "+like(who, "lower(?) || '/%'"), literal(q.Who))
	}
	if q.What != "" {
		action, objects := s.inEntry("action"), "' ' || lower("+s.inEntry("object")+") || ' '" // several have a space between them
		add(like(action, "lower(?)")+" OR "+like(action, "lower(?) || '.%'")+" OR "+like(objects, "'% ' || lower(?) || ' %'"), literal(q.What))
	}
	at := "substr(" + s.inEntry("time") + ", 1, 19)"
	if !q.Since.IsZero() {
		add(at+" >= ?", wholeSeconds(q.Since))
	}
	if !q.Until.IsZero() {
		add(at+" < ?", wholeSeconds(q.Until))
	}
	if q.Before > 0 {
		add("id < ?", q.Before)
	}
	args = append(args, min(max(q.Limit, 1), maxAudit))
	return readEntries(s.db.QueryContext(ctx, fmt.Sprintf(`SELECT entry FROM console_audit WHERE %s ORDER BY id DESC LIMIT $%d`,
		strings.Join(where, " AND "), len(args)), args...))
}

// inEntry is a text in the JSON of an entry, in the words of the database.
func (s *Store) inEntry(path ...string) string {
	if s.cfg.URL != "" {
		return "(entry::jsonb #>> '{" + strings.Join(path, ",") + "}')"
	}
	return "json_extract(entry, '$." + strings.Join(path, ".") + "')"
}

// like compares with a pattern, in which literal makes a text stand for itself.
func like(text, pattern string) string { return text + " LIKE " + pattern + ` ESCAPE '\'` }

func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// wholeSeconds is a time as the entries have it, as far as its order is that of the texts.
func wholeSeconds(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05") }
