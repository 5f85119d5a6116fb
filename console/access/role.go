package access

import "fmt"

// Role is what an account may do. Each includes those before it.
type Role string

// The roles.
const (
	Viewer        Role = "viewer"        // sees messages, queue, certificates, rules and configuration, but not the text of mail
	Operator      Role = "operator"      // also retries, holds, releases and returns mail, imports and looks up certificates, and has rules explained
	Administrator Role = "administrator" // also removes mail, releases it in plaintext, decides about trust, reloads, and reads accounts and audit log
)

// Roles are all of them, the least first.
var Roles = []Role{Viewer, Operator, Administrator}

// check refuses what is not a role.
func (r Role) check() error {
	if r.rank() > 0 {
		return nil
	}
	return fmt.Errorf("%q is not a role; use viewer, operator or administrator", string(r))
}

// rank orders the roles; 0 is none.
func (r Role) rank() int {
	for i, known := range Roles {
		if r == known {
			return i + 1
		}
	}
	return 0
}

// Includes reports whether r may do what needed may.
func (r Role) Includes(needed Role) bool { return needed.rank() > 0 && r.rank() >= needed.rank() }

// least returns the role that includes less.
func least(a, b Role) Role {
	if a.Includes(b) {
		return b
	}
	return a
}
