package history

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// factsVersion is that of storedFacts. Others are not read: what a decision of another
// release had to go by is not known.
const factsVersion = 1

// storedFacts are the facts of a decision as they are with the row of one recipient. What
// the row has already is left out; so are the header, of which nothing is kept, the names
// of attachments, and what is agreed with partners, which is of the configuration.
type storedFacts struct {
	Version        int                       `json:"v"`
	From           []address.Address         `json:"from,omitempty"`
	Identity       enforce.Availability      `json:"identity,omitempty"`
	IdentityReason string                    `json:"identity_reason,omitempty"`
	IdentityNote   string                    `json:"identity_note,omitempty"`
	Issuable       bool                      `json:"issuable,omitempty"`
	SignForbidden  string                    `json:"sign_forbidden,omitempty"`
	SignExempt     string                    `json:"sign_exempt,omitempty"`
	SignUnknown    string                    `json:"sign_unknown,omitempty"`
	Content        storedContent             `json:"content,omitzero"`
	Triggers       enforce.Triggers          `json:"triggers,omitzero"`
	Identities     map[string]storedIdentity `json:"identities,omitempty"`
	Further        map[string]storedLookup   `json:"further,omitempty"`
	SenderGroups   map[string]storedMember   `json:"sender_groups,omitempty"`
	Others         int                       `json:"others,omitempty"`
	Found          *storedFound              `json:"found,omitempty"`

	Internal    bool                    `json:"internal,omitempty"`
	Hidden      bool                    `json:"hidden,omitempty"`
	Unnamed     bool                    `json:"unnamed,omitempty"`
	Certificate storedLookup            `json:"certificate,omitzero"`
	Domain      storedLookup            `json:"domain,omitzero"`
	DomainOf    string                  `json:"domain_of,omitempty"`
	Reads       enforce.Availability    `json:"reads,omitempty"`
	Groups      map[string]storedMember `json:"groups,omitempty"`
	Group       enforce.GroupFacts      `json:"group,omitzero"`
	Through     []address.Address       `json:"through,omitempty"`
}

type storedContent struct {
	Size        int             `json:"size,omitempty"`
	Calendar    bool            `json:"calendar,omitempty"`
	CalendarWhy string          `json:"calendar_why,omitempty"`
	Signed      bool            `json:"signed,omitempty"`
	Encrypted   bool            `json:"encrypted,omitempty"`
	Doubt       string          `json:"doubt,omitempty"`
	TooWeak     map[string]bool `json:"too_weak,omitempty"`
	Exempt      bool            `json:"exempt,omitempty"`
	Report      bool            `json:"report,omitempty"`
}

type storedIdentity struct {
	State  enforce.Availability `json:"state,omitempty"`
	Reason string               `json:"reason,omitempty"`
	Note   string               `json:"note,omitempty"`
}

type storedLookup struct {
	State  enforce.Availability `json:"state,omitempty"`
	Usable []string             `json:"usable,omitempty"`
	Reason string               `json:"reason,omitempty"`
}

type storedMember struct {
	State  enforce.Membership `json:"state,omitempty"`
	Reason string             `json:"reason,omitempty"`
}

type storedFound struct {
	Result     string         `json:"result,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Signed     bool           `json:"signed,omitempty"`
	Encrypted  bool           `json:"encrypted,omitempty"`
	Chain      string         `json:"chain,omitempty"`
	Signers    []storedSigner `json:"signers,omitempty"`
	Algorithms []string       `json:"algorithms,omitempty"`
	Secret     bool           `json:"secret,omitempty"`
	Cipher     string         `json:"cipher,omitempty"`
}

type storedSigner struct {
	Addresses   []address.Address `json:"addresses,omitempty"`
	Certificate string            `json:"certificate"`
}

// storedFacts is the stored form of the facts on the one recipient that a row is about; ok is false
// where there are none.
func (r *Row) storedFacts() (s storedFacts, ok bool) {
	f := r.Facts
	if f == nil || len(f.Recipients) != 1 {
		return s, false
	}
	to := &f.Recipients[0]
	s = storedFacts{
		Version: factsVersion, From: f.From, Identity: f.Identity, IdentityReason: f.IdentityReason, IdentityNote: f.IdentityNote,
		Issuable: f.Issuable, SignForbidden: f.SignForbidden, SignExempt: f.SignExempt, SignUnknown: f.SignUnknown,
		Content: storedContent{
			Size: f.Content.Size, Calendar: f.Content.Calendar, CalendarWhy: f.Content.CalendarWhy, Signed: f.Content.Signed,
			Encrypted: f.Content.Encrypted, Doubt: f.Content.Doubt, TooWeak: f.Content.TooWeak, Exempt: f.Content.Exempt, Report: f.Content.Report,
		},
		Triggers: f.Triggers, SenderGroups: members(f.SenderGroups), Others: f.Others, Found: found(&f.Found),
		Internal: to.Internal, Hidden: to.Hidden, Unnamed: to.Unnamed, Certificate: lookup(to.Certificate), Domain: lookup(to.Domain),
		DomainOf: to.DomainOf, Reads: to.Reads, Groups: members(to.Groups), Group: to.Group, Through: to.Through,
	}
	s.Identities = each(f.Identities, func(id enforce.IdentityFacts) storedIdentity { return storedIdentity(id) })
	s.Further = each(f.Further, lookup)
	return s, true
}

// decodeFacts is the reverse, with what the row has. Nil without an error: the row has
// none that this release reads.
func decodeFacts(text string, row *Row) (*enforce.Facts, error) {
	if text == "" {
		return nil, nil
	}
	var s storedFacts
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("facts of %q: %w", row.ID, err)
	}
	if s.Version != factsVersion {
		return nil, nil
	}
	r := enforce.RecipientFacts{
		Address: row.Recipient, Internal: s.Internal, Hidden: s.Hidden, Unnamed: s.Unnamed,
		Certificate: s.Certificate.facts(), Domain: s.Domain.facts(), DomainOf: s.DomainOf, Reads: s.Reads,
		Groups: memberships(s.Groups), Group: s.Group, Through: s.Through,
	}
	f := &enforce.Facts{
		Direction: enforce.Direction(row.Direction), Sender: row.Sender, Client: enforce.Client{User: row.User, Listener: row.Listener},
		From: s.From, Identity: s.Identity, IdentityReason: s.IdentityReason, IdentityNote: s.IdentityNote,
		Issuable: s.Issuable, SignForbidden: s.SignForbidden, SignExempt: s.SignExempt, SignUnknown: s.SignUnknown,
		Content: enforce.Content{
			Size: s.Content.Size, Calendar: s.Content.Calendar, CalendarWhy: s.Content.CalendarWhy, Signed: s.Content.Signed,
			Encrypted: s.Content.Encrypted, Doubt: s.Content.Doubt, TooWeak: s.Content.TooWeak, Exempt: s.Content.Exempt, Report: s.Content.Report,
		},
		Triggers: s.Triggers, SenderGroups: memberships(s.SenderGroups), Others: s.Others, Found: s.Found.facts(),
		Recipients: []enforce.RecipientFacts{r},
	}
	f.Client.Addr, _ = netip.ParseAddr(row.Client)
	f.Identities = each(s.Identities, func(id storedIdentity) enforce.IdentityFacts { return enforce.IdentityFacts(id) })
	f.Further = each(s.Further, storedLookup.facts)
	return f, nil
}

// each translates the values of a map; an empty one is nil.
func each[A, B any](from map[string]A, translate func(A) B) map[string]B {
	if len(from) == 0 {
		return nil
	}
	to := make(map[string]B, len(from))
	for key, a := range from {
		to[key] = translate(a)
	}
	return to
}

func members(m map[string]enforce.MembershipFacts) map[string]storedMember {
	return each(m, func(f enforce.MembershipFacts) storedMember { return storedMember(f) })
}

func memberships(m map[string]storedMember) map[string]enforce.MembershipFacts {
	return each(m, func(s storedMember) enforce.MembershipFacts { return enforce.MembershipFacts(s) })
}

func lookup(c enforce.CertificateFacts) storedLookup {
	s := storedLookup{State: c.State, Reason: c.Reason}
	for _, fp := range c.Usable {
		s.Usable = append(s.Usable, hex.EncodeToString(fp[:]))
	}
	return s
}

func (s storedLookup) facts() enforce.CertificateFacts {
	c := enforce.CertificateFacts{State: s.State, Reason: s.Reason}
	for _, text := range s.Usable {
		c.Usable = append(c.Usable, fingerprint(text))
	}
	return c
}

// fingerprint reads one that was stored; what is none is the zero value, which names no
// certificate.
func fingerprint(text string) (fp enforce.Fingerprint) {
	if b, err := hex.DecodeString(text); err == nil && len(b) == len(fp) {
		copy(fp[:], b)
	}
	return fp
}

func found(f *enforce.Found) *storedFound {
	if f.Result == "" && !f.Signed && !f.Encrypted {
		return nil
	}
	s := &storedFound{
		Result: f.Result, Reason: f.Reason, Signed: f.Signed, Encrypted: f.Encrypted, Chain: f.Chain,
		Algorithms: f.Algorithms, Secret: f.Secret, Cipher: f.Cipher,
	}
	for _, signer := range f.Signers {
		s.Signers = append(s.Signers, storedSigner{Addresses: signer.Addresses, Certificate: hex.EncodeToString(signer.Fingerprint[:])})
	}
	return s
}

func (s *storedFound) facts() enforce.Found {
	if s == nil {
		return enforce.Found{}
	}
	f := enforce.Found{
		Result: s.Result, Reason: s.Reason, Signed: s.Signed, Encrypted: s.Encrypted, Chain: s.Chain,
		Algorithms: s.Algorithms, Secret: s.Secret, Cipher: s.Cipher,
	}
	for _, signer := range s.Signers {
		f.Signers = append(f.Signers, enforce.FoundSigner{Addresses: signer.Addresses, Fingerprint: fingerprint(signer.Certificate)})
	}
	return f
}
