package directory

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/smimerelay/smimerelay/smime/address"
)

// domains is a set of "example.com" (exactly it) and ".example.com" (what is
// below it), as A-labels in lower case. The empty set matches every domain.
type domains map[string]bool

func newDomains(patterns []string) domains {
	set := make(domains, len(patterns))
	for _, p := range patterns {
		name, below := strings.CutPrefix(p, ".")
		name = strings.ToLower(name)
		if ascii, err := idna.Lookup.ToASCII(name); err == nil {
			name = ascii // what IDNA can not express stays as it is written
		}
		if below {
			name = "." + name
		}
		set[name] = true
	}
	return set
}

// match takes a domain as address.Address.Domain returns it.
func (d domains) match(domain string) bool {
	if len(d) == 0 || d[domain] {
		return true
	}
	for {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok {
			return false
		}
		if d["."+parent] {
			return true
		}
		domain = parent
	}
}

// sample returns postmaster of one of the domains, always the same.
func (d domains) sample() address.Address {
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if a, err := address.Parse("postmaster@" + strings.TrimPrefix(name, ".")); err == nil {
			return a
		}
	}
	return address.Null
}
