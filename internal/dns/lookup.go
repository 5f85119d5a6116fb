package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Lookup asks for the records that mail is routed by: the first server that answers
// counts. It is safe for concurrent use.
type Lookup struct{ servers []*Resolver }

// NewLookup returns a Lookup that asks these servers, in their order.
func NewLookup(servers ...*Resolver) *Lookup { return &Lookup{servers: servers} }

// Trusted reports whether all servers are: then an answer that is not secure is of a zone
// that is not signed, if they validate.
func (l *Lookup) Trusted() bool {
	for _, s := range l.servers {
		if !s.Trusted() {
			return false
		}
	}
	return len(l.servers) > 0
}

// SystemServers returns the name servers of a file of the form of resolv.conf(5).
func SystemServers(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var servers []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		ip, err := netip.ParseAddr(fields[1])
		if err != nil {
			continue
		}
		servers = append(servers, netip.AddrPortFrom(ip, 53).String())
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("file %q: no nameserver", path)
	}
	return servers, nil
}

// ErrNoName means that the name does not exist (NXDOMAIN).
var ErrNoName = errors.New("the name does not exist (NXDOMAIN)")

// found are the records of a type that a name has, aliases followed.
type found struct {
	records []dnsmessage.ResourceBody
	// name is where the aliases lead, without the dot at the end.
	name   string
	secure bool
}

// MX is a mail exchanger (RFC 5321 section 5.1).
type MX struct {
	Host       string // without the dot at the end; "" is the null MX of RFC 7505
	Preference uint16
}

// MX returns the mail exchangers of a domain, in no order; none and no error where it has
// no such records. secure says that the answer was validated.
func (l *Lookup) MX(ctx context.Context, domain string) (list []MX, secure bool, err error) {
	f, err := l.find(ctx, domain, dnsmessage.TypeMX)
	for _, r := range f.records {
		if mx, ok := r.(*dnsmessage.MXResource); ok {
			list = append(list, MX{Host: hostName(bare(mx.MX)), Preference: mx.Pref})
		}
	}
	return list, f.secure, err
}

// Host is what is known of the name of a host.
type Host struct {
	// Name is where aliases lead; the name itself where there are none.
	Name string
	// Addresses are of IPv6, then of IPv4.
	Addresses []netip.Addr
	// Secure says that all answers were validated. A question without an answer gave no
	// address, and makes the others no less secure (RFC 7672 section 2.1.2).
	Secure bool
}

// Host returns the addresses of a host. None and no error means that the name exists and
// has none. If one of the two questions fails and the other finds something, that counts.
func (l *Lookup) Host(ctx context.Context, name string) (Host, error) {
	six, err6 := l.find(ctx, name, dnsmessage.TypeAAAA)
	four, err4 := l.find(ctx, name, dnsmessage.TypeA)
	h := Host{Name: hostName(four.name), Secure: secured(six, err6) && secured(four, err4)}
	if err4 != nil {
		h.Name = hostName(six.name)
	}
	for _, r := range append(six.records, four.records...) {
		switch r := r.(type) {
		case *dnsmessage.AAAAResource:
			h.Addresses = append(h.Addresses, netip.AddrFrom16(r.AAAA).Unmap())
		case *dnsmessage.AResource:
			h.Addresses = append(h.Addresses, netip.AddrFrom4(r.A))
		}
	}
	if len(h.Addresses) > 0 {
		return h, nil
	}
	if err4 == nil {
		err4 = err6
	}
	if err4 != nil {
		h.Secure = false
	}
	return h, err4
}

// secured reports whether nothing of an answer is without validation.
func secured(f found, err error) bool {
	return f.secure || err != nil && !errors.Is(err, ErrNoName)
}

// TLSA is a record of RFC 6698 section 2.1.
type TLSA struct {
	Usage, Selector, Matching byte
	Data                      []byte
}

// TLSA returns the records of a name such as "_25._tcp.mx.example.net". Without secure
// they mean nothing.
func (l *Lookup) TLSA(ctx context.Context, name string) (list []TLSA, secure bool, err error) {
	f, err := l.find(ctx, name, typeTLSA)
	for _, r := range f.records {
		if u, ok := r.(*dnsmessage.UnknownResource); ok && len(u.Data) >= 3 {
			list = append(list, TLSA{Usage: u.Data[0], Selector: u.Data[1], Matching: u.Data[2], Data: u.Data[3:]})
		}
	}
	return list, f.secure, err
}

// SRV is a record of RFC 2782.
type SRV struct {
	Host             string // without the dot at the end; "" says that there is no such service
	Port             uint16
	Priority, Weight uint16
}

// SRV returns the records of a name such as "_ldap._tcp.example.net", in no order; none and
// no error where it has no such records.
func (l *Lookup) SRV(ctx context.Context, name string) (list []SRV, err error) {
	f, err := l.find(ctx, name, dnsmessage.TypeSRV)
	for _, r := range f.records {
		if s, ok := r.(*dnsmessage.SRVResource); ok {
			list = append(list, SRV{Host: hostName(bare(s.Target)), Port: s.Port, Priority: s.Priority, Weight: s.Weight})
		}
	}
	return list, err
}

// CERT is a record of RFC 4398 section 2. Type is one of its section 2.1.
type CERT struct {
	Type uint16
	Data []byte
}

// CERT returns the records of a name.
func (l *Lookup) CERT(ctx context.Context, name string) (list []CERT, err error) {
	f, err := l.find(ctx, name, typeCERT)
	for _, r := range f.records {
		// The tag of a key and its algorithm stand before the certificate.
		if u, ok := r.(*dnsmessage.UnknownResource); ok && len(u.Data) > 5 {
			list = append(list, CERT{Type: binary.BigEndian.Uint16(u.Data), Data: u.Data[5:]})
		}
	}
	return list, err
}

// TXT returns the texts of a name, each as one string (RFC 7208 section 3.3 says how, and
// RFC 8461 section 3.1 asks for the same).
func (l *Lookup) TXT(ctx context.Context, name string) ([]string, error) {
	f, err := l.find(ctx, name, dnsmessage.TypeTXT)
	var list []string
	for _, r := range f.records {
		if t, ok := r.(*dnsmessage.TXTResource); ok {
			list = append(list, strings.Join(t.TXT, ""))
		}
	}
	return list, err
}

// LookupNetIP returns the addresses of a host, for those who dial by a *net.Resolver.
func (l *Lookup) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	h, err := l.Host(ctx, host)
	return h.Addresses, err
}

// find asks the servers, and returns the records at the end of the aliases.
func (l *Lookup) find(ctx context.Context, name string, kind dnsmessage.Type) (found, error) {
	f := found{name: name}
	q, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return f, ErrNoName // too long for DNS: there can be no such name
	}
	err = errors.New("no resolver")
	var m *dnsmessage.Message
	for _, s := range l.servers {
		if m, err = s.Ask(ctx, q, kind); err == nil || errors.Is(err, ErrBogus) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return f, fmt.Errorf("%s %s: %w", strings.TrimPrefix(kind.String(), "Type"), name, err)
	}
	f.secure = m.AuthenticData
	f.read(m, q, kind)
	if m.RCode == dnsmessage.RCodeNameError {
		return f, fmt.Errorf("%s: %w", name, ErrNoName)
	}
	return f, nil
}

// maxAliases is how many CNAME records are followed.
const maxAliases = 16

func (f *found) read(m *dnsmessage.Message, name dnsmessage.Name, kind dnsmessage.Type) {
	for range maxAliases {
		alias := false
		for _, a := range m.Answers {
			if !strings.EqualFold(a.Header.Name.String(), name.String()) {
				continue
			}
			if c, ok := a.Body.(*dnsmessage.CNAMEResource); ok {
				name, alias = c.CNAME, true
				break
			}
			if a.Header.Type == kind {
				f.records = append(f.records, a.Body)
			}
		}
		if !alias {
			break
		}
	}
	f.name = bare(name)
}

// bare is a name as mail has it: lower case, without the dot at the end.
func bare(n dnsmessage.Name) string { return strings.ToLower(strings.TrimSuffix(n.String(), ".")) }

// hostName is a name as it is if it can be that of a host (RFC 952, with the underscore that
// some have), and one that does not exist (RFC 6761 section 6.4) otherwise: a name in DNS may
// have any octets, and these get into logs, reports and replies.
func hostName(s string) string {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "name.invalid"
		}
	}
	return s
}
