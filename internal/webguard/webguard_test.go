package webguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

type names []netip.Addr

func (n names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return n, nil }

// TestSilenceIsNotForbidden: a host is one that may not be asked where none of its addresses
// may be, not where one that may be did not answer.
func TestSilenceIsNotForbidden(t *testing.T) {
	public, private := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.1")
	silent := errors.New("no answer")
	for name, c := range map[string]struct {
		addresses names
		forbidden bool
	}{
		"private":                {names{private}, true},
		"public, then private":   {names{public, private}, false},
		"private, then public":   {names{private, public}, false},
		"public between private": {names{private, public, private}, false},
	} {
		g := &Guard{Resolver: c.addresses, Allowed: []netip.Prefix{netip.PrefixFrom(public, 32)},
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, silent }}
		_, err := g.DialContext(t.Context(), "tcp", "directory.partner.example:443")
		if errors.Is(err, ErrForbidden) != c.forbidden || errors.Is(err, silent) == c.forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}
