// Package dnszone publishes certificates as SMIMEA records (RFC 8162), by dynamic updates
// of a zone (RFC 2136) that are authenticated with TSIG (RFC 8945), or as text.
package dnszone

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Zone has the records of addresses in a zone: by name, the certificates in DER.
type Zone map[string][][]byte

// New returns the records for entries whose domain is zone or below it.
func New(zone string, entries iter.Seq[*publish.Entry]) Zone {
	z := Zone{}
	for e := range entries {
		if !dns.IsSubDomain(dns.Fqdn(zone), dns.Fqdn(e.Address.Domain())) {
			continue
		}
		for _, name := range names(e.Address) {
			for _, c := range e.Certificates {
				z[name] = append(z[name], c.Raw)
			}
		}
	}
	return z
}

// names are those of an address (RFC 8162 section 3). The local part is hashed as senders
// write it, which is in lower case wherever the certificate has it otherwise.
func names(a address.Address) []string {
	local := a.Local()
	list := []string{name(local, a.Domain())}
	if lower := strings.ToLower(local); lower != local {
		list = append(list, name(lower, a.Domain()))
	}
	return list
}

func name(local, domain string) string {
	hash := sha256.Sum256([]byte(local))
	return strings.ToLower(hex.EncodeToString(hash[:28]) + "._smimecert." + dns.Fqdn(domain))
}

// The fields of a record that holds a whole certificate for an end entity (RFC 6698
// sections 2.1.1 to 2.1.3): to be trusted by the record alone.
const (
	usageEndEntity = 3
	selectorWhole  = 0
	matchingExact  = 0
)

func record(name string, der []byte, ttl time.Duration) dns.RR {
	return &dns.SMIMEA{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeSMIMEA, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)},
		Usage: usageEndEntity, Selector: selectorWhole, MatchingType: matchingExact, Certificate: hex.EncodeToString(der),
	}
}

// Lines returns the lines of a zone file, one for each record, with names in full.
func (z Zone) Lines(ttl time.Duration) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range slices.Sorted(maps.Keys(z)) {
			for _, der := range z[name] {
				if !yield(strings.ReplaceAll(record(name, der, ttl).String(), "\t", " ")) {
					return
				}
			}
		}
	}
}

// Updater writes records to the primary server of a zone. It is a publish.Target, whose
// objects are names.
type Updater struct {
	// Server is host:port, Zone the zone that is updated.
	Server, Zone string
	// Records are those that the zone shall have from us, and Unsure certificates that stay
	// where they are.
	Records Zone
	Unsure  publish.Unsure
	// KeyName, Algorithm ("hmac-sha256") and Secret (base64) are those of TSIG.
	KeyName, Algorithm string
	Secret             func() (string, error)
	TTL                time.Duration
	// Timeout bounds one update.
	Timeout time.Duration
	Clock   func() time.Time
}

// Objects implements publish.Target.
func (u *Updater) Objects() []string { return slices.Collect(maps.Keys(u.Records)) }

// Wanted implements publish.Target.
func (u *Updater) Wanted(_ context.Context, name string, noted [][]byte) ([][]byte, error) {
	wanted := u.Records[name]
	return slices.Concat(wanted, publish.Without(u.Unsure.Keep(noted), wanted)), nil
}

// Write makes one change, in one update: all of it is done, or nothing.
func (u *Updater) Write(ctx context.Context, c publish.Change) ([][]byte, error) {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(u.Zone))
	for _, der := range c.Remove {
		m.Remove([]dns.RR{record(c.Object, der, u.TTL)})
	}
	for _, der := range c.Wanted {
		m.Insert([]dns.RR{record(c.Object, der, u.TTL)})
	}
	if err := u.exchange(ctx, m); err != nil {
		return nil, fmt.Errorf("update at %s: %w", u.Server, err)
	}
	return c.Wanted, nil
}

var errUnsigned = errors.New("the answer is not signed by TSIG")

func (u *Updater) exchange(ctx context.Context, m *dns.Msg) error {
	secret, err := u.Secret()
	if err != nil {
		return err
	}
	key := dns.CanonicalName(u.KeyName)
	client := &dns.Client{Net: "tcp", Timeout: u.Timeout, TsigSecret: map[string]string{key: secret}}
	m.SetTsig(key, dns.Fqdn(u.Algorithm), 300, u.Clock().Unix())
	ctx, cancel := context.WithTimeout(ctx, u.Timeout)
	defer cancel()
	answer, _, err := client.ExchangeContext(ctx, m, u.Server)
	switch {
	case err != nil:
		return err
	case answer.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("the server answered %s", dns.RcodeToString[answer.Rcode])
	case answer.IsTsig() == nil: // the library verifies a signature that is there
		return errUnsigned
	}
	return nil
}
