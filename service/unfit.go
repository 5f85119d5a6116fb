package service

import (
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Unfit are identities whose keys a profile does not allow that a rule or an agreement
// names.
type Unfit struct {
	Profile string
	// Count is how many there are, First the certificate of one of them and Why the
	// reason.
	Count int
	First *x509.Certificate
	Why   string
}

// profilesUsed returns the profiles that rules and agreements name, each once, with the
// option that named it first.
func profilesUsed(c *config.Config) (names []string, where map[string]string) {
	where = make(map[string]string)
	add := func(name, table string, i int, option string) {
		if name != "" && where[name] == "" {
			names = append(names, name)
			where[name] = key(table, i, option)
		}
	}
	for i, r := range c.Rules {
		add(r.Profile, "rule", i, "profile")
	}
	for i, p := range c.Partners {
		add(p.Profile, "partner", i, "profile")
		add(p.Minimum, "partner", i, "minimum")
	}
	return names, where
}

// judge adds a certificate where a profile does not allow its key.
func (p *Parts) judge(all []Unfit, names []string, c *x509.Certificate) []Unfit {
	for _, name := range names {
		why := p.Gateway.Profiles[name].Minimum().Key(c)
		if why == "" {
			continue
		}
		i := 0
		for i < len(all) && all[i].Profile != name {
			i++
		}
		if i == len(all) {
			all = append(all, Unfit{Profile: name, First: c, Why: why})
		}
		all[i].Count++
	}
	return all
}

// unfit warns of identities with which mail of a profile is deferred, and below the
// minimum when it comes in.
func (p *Parts) unfit(all []Unfit) (ws config.Problems) {
	_, where := profilesUsed(p.Config)
	for _, u := range all {
		ws = append(ws, p.Config.Problem(where[u.Profile],
			fmt.Sprintf("the profile %q does not allow %d of the identities, such as that of %q: %s", u.Profile, u.Count, pkix.Label(u.First), u.Why),
			"mail that they sign by this profile is deferred, and mail that they decrypt is below its minimum: replace them, or change keys or minimum_rsa of the profile"))
	}
	return ws
}
