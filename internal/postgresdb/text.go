package postgresdb

import "strings"

// Text returns s as PostgreSQL can keep it: what is no UTF-8, and NUL, is replaced. Texts
// of strangers go through it, whatever the database is, for they may be moved.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
