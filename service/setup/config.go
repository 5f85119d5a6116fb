package setup

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/postfix"
)

// Config returns the configuration. mta is the Postfix on this machine; nil where there is
// none.
func (a *Answers) Config(mta *postfix.Settings) (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	rules, err := a.rules()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by smimerelay init. Every option with its default and an explanation:\n# smimerelay init --example, or man smimerelay.toml.\n")
	if a.Hostname != "" {
		line("hostname = %s", strconv.Quote(a.Hostname))
	}
	line("domains = [%s]\n", quoted(a.Domains))
	b.WriteString(a.listeners())
	b.WriteString(a.limits(mta))
	line("\n[queue]\npath = %s", strconv.Quote(filepath.Join(a.State, "queue.db")))
	line("\n[store]\nurl = %s\nkey_file = %s", strconv.Quote(filepath.Join(a.State, "store.db")), strconv.Quote(filepath.Join(a.State, "store.key")))
	if a.Public != "no" {
		line("\n# The authorities that Mozilla trusts for mail; docs/trust.md says where the list comes from.\n[trust]\npublic = \"mozilla\"")
	}
	if given(a.Authority) {
		line("\n# docs/ca.md says how to publish what partners fetch from url.\n[ca]\nurl = %s\norganization = %s\ncountry = %s", strconv.Quote(a.Authority), strconv.Quote(a.Organization), strconv.Quote(a.Country))
	}
	if given(a.LDAP) {
		b.WriteString(a.directory())
	}
	line("\n# Rules: %s of docs/recipes.md. The first that matches a recipient decides.", a.Rules)
	b.WriteString(rules)
	return b.String(), nil
}

// listeners are those of README.md for the way in.
func (a *Answers) listeners() string {
	text := strings.Replace(a.block("toml"), "networks = [\"192.0.2.0/24\"]\n", "networks = []\n", 1)
	if a.Way == "relay" {
		text = strings.Replace(text, "127.0.0.1:10028", a.NextHop, 1)
	}
	return text
}

func (a *Answers) directory() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[[directory]]\nname = \"directory\"\ntype = \"ldap\"\nurls = [%s]\nbase = %s\n", quoted([]string{a.LDAP}), strconv.Quote(a.Base))
	if a.BindDN != "" {
		fmt.Fprintf(&b, "bind_dn = %s\npassword_file = %s\n", strconv.Quote(a.BindDN), strconv.Quote(a.PasswordFile))
	}
	return b.String()
}

func quoted(list []string) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = strconv.Quote(s)
	}
	return strings.Join(all, ", ")
}
