package config

import "slices"

// groups refuses a rule that depends on groups where no directory has any: all mail
// that it may match would wait for ever.
func (d *decoder) groups(c *Config, key string, r Rule) {
	if slices.ContainsFunc(c.Directory, func(s Directory) bool { return s.Type == "ldap" }) {
		return
	}
	const remedy = `add a [[directory]] with type = "ldap"`
	for _, g := range []struct {
		option string
		list   []string
	}{
		{"sender_group", r.SenderGroup}, {"except_sender_group", r.ExceptSenderGroup},
		{"recipient_group", r.RecipientGroup}, {"except_recipient_group", r.ExceptRecipientGroup},
	} {
		if len(g.list) > 0 && !slices.Equal(g.list, []string{Everybody}) {
			d.complain(join(key, g.option), remedy, "there is no directory with groups")
		}
	}
	if r.ExpandGroups {
		d.complain(join(key, "expand_groups"), remedy, "there is no directory with groups")
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
