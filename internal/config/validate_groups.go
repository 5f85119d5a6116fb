package config

import "slices"

// groups refuses a rule that depends on groups where no directory has any: all mail
// that it may match would wait for ever.
func (d *decoder) groups(c *Config, key string, r Rule) {
	d.groupLists(c, key, []groupList{
		{"sender_group", r.SenderGroup}, {"except_sender_group", r.ExceptSenderGroup},
		{"recipient_group", r.RecipientGroup}, {"except_recipient_group", r.ExceptRecipientGroup},
	})
	if r.ExpandGroups && !c.hasGroups() {
		d.complain(join(key, "expand_groups"), addGroups, "there is no directory with groups")
	}
}

const addGroups = `add a [[directory]] with type = "ldap"`

// hasGroups reports whether there is a directory with groups.
func (c *Config) hasGroups() bool {
	return slices.ContainsFunc(c.Directory, func(s Directory) bool { return s.Type == "ldap" })
}

// groupList is a condition on groups.
type groupList struct {
	option string
	list   []string
}

// groupLists refuses conditions of a rule on groups where there are none.
func (d *decoder) groupLists(c *Config, key string, conditions []groupList) {
	for _, g := range conditions {
		if len(g.list) > 0 && !slices.Equal(g.list, []string{Everybody}) && !c.hasGroups() {
			d.complain(join(key, g.option), addGroups, "there is no directory with groups")
		}
	}
}

// fromDirectory, in from of [[entitlement]], is what a directory lists.
const fromDirectory = "directory"

// listed refuses an entitlement by a directory where none knows users.
func (d *decoder) listed(c *Config, key string, from []string) {
	if !slices.Contains(from, fromDirectory) ||
		slices.ContainsFunc(c.Directory, func(s Directory) bool { return s.Type == "ldap" && s.UserFilter != "" }) {
		return
	}
	d.complain(key, `give a [[directory]] of type "ldap" a user_filter such as "(sAMAccountName={user})"`, "there is no directory that can look up users")
}
