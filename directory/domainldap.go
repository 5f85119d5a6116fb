package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/webguard"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Limits on what the directory of a domain that anybody may have can make us do.
const (
	maxDomainServers  = 3       // asked for one address
	maxNamingContexts = 5       // searched on one server
	maxAnswers        = 2 << 20 // octets of all answers of one server
)

// DomainLDAPConfig describes how the recipients' own directories are asked. Zero values
// take the defaults of LDAPConfig.
type DomainLDAPConfig struct {
	// Name is "ldap-srv:" and it in explanations.
	Name string
	// DNS finds the servers of a domain and their addresses.
	DNS *dns.Lookup
	// Attributes hold certificates, the preferred first.
	Attributes []string
	// Allowed are networks that may be asked though they are private.
	Allowed []netip.Prefix
	// Timeout bounds the work of one server.
	Timeout time.Duration
}

// DomainLDAP is a Source that searches the directory that a recipient's domain announces
// by SRV records (RFC 2782), as the Direct Project does: anonymously, in all naming contexts
// of the server (RFC 4512 section 5.1). Strangers choose these servers: only public addresses
// and the ports of LDAP are asked, and little is read. A domain without the records, or whose
// servers are not public, has no directory.
type DomainLDAP struct {
	Plain

	cfg    DomainLDAPConfig
	name   string
	bases  []string
	filter *filterTemplate
	dialer *dialer
}

// domainFilter finds the entries of an address. Their schema is not known: RFC 2798 has mail.
const domainFilter = "(mail={addr})"

// NewDomainLDAP returns a DomainLDAP source.
func NewDomainLDAP(cfg DomainLDAPConfig) (*DomainLDAP, error) {
	if len(cfg.Attributes) == 0 {
		cfg.Attributes = defaultAttributes()
	}
	setDefault(&cfg.Timeout, defaultLDAPTimeout)
	filter, err := parseFilter(domainFilter)
	if err != nil {
		return nil, err
	}
	guard := &webguard.Guard{Resolver: cfg.DNS, Allowed: cfg.Allowed, Ports: []int{389, 636}}
	return &DomainLDAP{
		cfg: cfg, name: "ldap-srv:" + cfg.Name, bases: baseNames(cfg.Attributes), filter: filter,
		dialer: &dialer{connect: guard.DialContext, answers: maxAnswers},
	}, nil
}

// Name returns "ldap-srv:" and the configured name.
func (d *DomainLDAP) Name() string { return d.name }

// Find asks the servers of addr's domain until one answers.
func (d *DomainLDAP) Find(ctx context.Context, addr address.Address) (Finding, error) {
	if strings.HasPrefix(addr.Domain(), "[") {
		return Finding{}, nil // an address literal has no name in DNS
	}
	records, err := d.cfg.DNS.SRV(ctx, "_ldap._tcp."+addr.Domain())
	switch {
	case errors.Is(err, dns.ErrNoName):
		return Finding{}, nil
	case err != nil:
		return Finding{}, err
	}
	var notes Finding
	var errs []error
	for _, r := range inTurn(records) {
		f, err := d.ask(ctx, r, addr)
		switch {
		case err == nil:
			f.Notes = append(f.Notes, notes.Notes...)
			f.noteEach(errors.Join(errs...))
			return f, nil
		case errors.Is(err, webguard.ErrForbidden), errors.Is(err, webguard.ErrPort):
			// A directory for its own house alone, or someone who would have us
			// talk to ours.
			notes.note("server %q is not asked: %v", r.Host, err)
		default:
			errs = append(errs, fmt.Errorf("server %q: %w", r.Host, err))
		}
	}
	return notes, errors.Join(errs...)
}

// inTurn returns the servers to ask, in the order of RFC 2782: by priority, and among those
// of one by chance, the heavier the likelier.
func inTurn(records []dns.SRV) []dns.SRV {
	type drawn struct {
		dns.SRV
		turn float64
	}
	var list []drawn
	for _, r := range records {
		if r.Host != "" && r.Port != 0 { // "." says that there is no such service
			list = append(list, drawn{r, rand.ExpFloat64() / (float64(r.Weight) + 0.01)}) //nolint:gosec // G404: it spreads load
		}
	}
	slices.SortFunc(list, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.turn, b.turn))
	})
	var turns []dns.SRV
	for _, r := range list[:min(len(list), maxDomainServers)] {
		turns = append(turns, r.SRV)
	}
	return turns
}

// ask searches one server.
func (d *DomainLDAP) ask(ctx context.Context, r dns.SRV, addr address.Address) (Finding, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.Timeout, fmt.Errorf("no answer within %s", d.cfg.Timeout))
	defer cancel()
	c, err := d.dialer.dial(ctx, target{network: "tcp", address: net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port))), host: r.Host})
	if err != nil {
		return Finding{}, err
	}
	defer c.close()
	root, err := c.search(ctx, d.request("", ldap.ScopeBaseObject, everyEntry, "namingContexts"))
	if err != nil {
		return Finding{}, err
	}
	var entries []*ldap.Entry
	var referrals []string
	list, all := contexts(root)
	for _, base := range list {
		result, err := c.search(ctx, d.request(base, ldap.ScopeWholeSubtree, d.filter.expand(addr),
			append([]string{attrObjectClass, attrControl}, d.cfg.Attributes...)...))
		if ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights) {
			all = false
		}
		if err != nil && !ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights) {
			return Finding{}, err
		}
		if result != nil {
			entries = append(entries, result.Entries...)
			for _, r := range result.Referrals[:min(len(result.Referrals), maxNotes-min(len(referrals), maxNotes))] {
				referrals = append(referrals, strings.Clone(r[:min(len(r), maxDN)]))
			}
		}
	}
	f := readEntries(d.bases, entries)
	f.Group = false // its members are not for us to find out
	if len(referrals) > 0 {
		f.note("referrals not followed: %q", referrals)
	}
	if len(f.Certificates) == 0 && !all {
		return f, errPart // that there is none is not known
	}
	return f, nil
}

var errPart = errors.New("only a part of what it has could be searched")

func (d *DomainLDAP) request(base string, scope int, filter string, attributes ...string) *ldap.SearchRequest {
	seconds := int((d.cfg.Timeout + time.Second - 1) / time.Second)
	r := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, maxEntries, seconds, false, filter, attributes, nil)
	r.EnforceSizeLimit = true
	return r
}

// contexts returns the naming contexts that a root entry names, and whether these are all.
func contexts(root *ldap.SearchResult) (list []string, all bool) {
	for _, e := range root.Entries {
		for _, v := range values(e, "namingcontexts") {
			if len(v) == 0 {
				continue
			}
			if len(list) == maxNamingContexts {
				return list, false
			}
			list = append(list, string(v))
		}
	}
	return list, true
}
