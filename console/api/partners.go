package api

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// PartnerQuery chooses partners.
type PartnerQuery struct {
	Cursor  string `query:"cursor" maxLength:"320" doc:"Where the page before ended: its next."`
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Maximum number of items."`
	Domain  string `query:"domain" maxLength:"255" doc:"Only addresses in this domain."`
	Address string `query:"address" maxLength:"320" doc:"Only this address."`
}

// Partner is an address of someone else for which the store has certificates.
type Partner struct {
	Address string `json:"address"`
	Domain  string `json:"domain"`
	// Read and Verify are about the certificates of the address alone.
	Read   Ability `json:"read" doc:"Whether mail can be encrypted to the address."`
	Verify Ability `json:"verify" doc:"Whether signatures of the address can be verified."`
	// Certificates are those of the address, newest first.
	Certificates []describe.Stored `json:"certificates"`
	Received     *Exchanged        `json:"received,omitempty" doc:"The last message from the address, by the history."`
	Sent         *Exchanged        `json:"sent,omitempty" doc:"The last message to the address, by the history."`
	Agreement    *Agreement        `json:"agreement,omitempty" doc:"The [[partner]] table of the domain."`
}

// Ability is what certificates serve for now. Revocation is not asked for: mail asks when it comes.
type Ability struct {
	Able   bool         `json:"able"`
	Until  time.Time    `json:"until,omitzero" doc:"When the last of the certificates that serve expires."`
	SHA256 string       `json:"sha256,omitempty" doc:"That certificate."`
	Reason certs.Reason `json:"reason,omitempty" doc:"Why none serves, of the newest certificate."`
}

// Exchanged is a message.
type Exchanged struct {
	ID         string          `json:"id"`
	Time       time.Time       `json:"time"`
	Outcome    history.Outcome `json:"outcome"`
	Protection string          `json:"protection,omitempty" doc:"How it left, or what was found: signed, encrypted, a result of verification."`
}

// Agreement is what the configuration says about a domain.
type Agreement struct {
	Domain      string   `json:"domain"`
	Signers     []string `json:"signers,omitempty" doc:"Certificates that sign for all authors of the domain."`
	Certificate string   `json:"domain_certificate,omitempty" doc:"What mail is encrypted to if an address has no certificate."`
	Contact     string   `json:"contact,omitempty"`
	Note        string   `json:"note,omitempty"`
	Line        int      `json:"line" doc:"Where it is in the configuration."`
}

// ListAgreements lists the [[partner]] tables of the configuration.
func (o *Operations) ListAgreements(context.Context, *Empty) (*Body[List[Agreement]], error) {
	p, release := o.Gateway.Use()
	defer release()
	list := agreements(p)
	return body(listOf(list, len(list), nil)), nil
}

func agreements(p Parts) []Agreement {
	var list []Agreement
	for _, c := range p.Config.Partners {
		a := Agreement{Domain: c.Domain, Signers: c.Signers, Certificate: c.Certificate, Contact: c.Contact, Note: c.Note, Line: c.Line}
		if a.Certificate == "" && c.File != "" {
			a.Certificate = "domain"
		}
		list = append(list, a)
	}
	return list
}

// ListPartners lists addresses of others for which the store has certificates, what these serve for
// and until when, and the last messages from and to each.
func (o *Operations) ListPartners(ctx context.Context, in *PartnerQuery) (*Body[List[Partner]], error) {
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	most := min(max(Paging{Limit: in.Limit}.most(), 1), 100)
	found, err := o.partners(ctx, p, in, most)
	if err != nil {
		return nil, err
	}
	past, err := o.Gateway.History(ctx)
	if err != nil {
		past = nil // the page is about certificates; the messages page says what is wrong with the history
	}
	out := List[Partner]{Items: []Partner{}}
	if len(found) > most {
		found = found[:most]
		out.Next = found[most-1].Key(address.IgnoreCase)
	}
	for _, a := range found {
		one, err := o.partner(ctx, p, past, a)
		if err != nil {
			return nil, o.problem(ctx, err)
		}
		out.Items = append(out.Items, one)
	}
	return body(out), nil
}

// partners returns the addresses of a page and the one after it.
func (o *Operations) partners(ctx context.Context, p Parts, in *PartnerQuery, most int) ([]address.Address, error) {
	if in.Address != "" {
		a, err := address.Parse(in.Address)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.address", Message: "write local@domain"})
		}
		return []address.Address{a}, nil
	}
	q := store.PartnerQuery{After: strings.ToLower(in.Cursor), Limit: most + 1}
	if in.Domain != "" {
		a, err := address.Parse("x@" + in.Domain) // in the form in which domains are compared
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.domain", Message: "write a domain such as example.com"})
		}
		q.Domain = a.Domain()
	}
	found, err := p.Store.Partners(ctx, q)
	return found, o.problem(ctx, err)
}

// maxPartnerCertificates is how many certificates of an address are looked at, newest first.
const maxPartnerCertificates = 10

func (o *Operations) partner(ctx context.Context, p Parts, past *history.Store, a address.Address) (Partner, error) {
	one := Partner{Address: a.String(), Domain: a.Domain(), Certificates: []describe.Stored{}}
	has := false
	entries, err := p.Store.Find(ctx, store.Query{
		Address: &a, HasKey: &has, Origins: []store.Origin{store.Imported, store.Harvested, store.FromDirectory}, Chain: true, Limit: maxPartnerCertificates,
	})
	if err != nil {
		return one, err
	}
	for _, e := range entries {
		f := describe.Found{Certificate: e.Certificate, Chain: e.Chain}
		f.Judge(ctx, p.Checker, certs.RevocationOff)
		one.Certificates = append(one.Certificates, describe.Entry(e))
		one.Read.add(e, f.Uses[certs.ForEncryption])
		one.Verify.add(e, f.Uses[certs.ForSigning])
	}
	for _, g := range agreements(p) {
		if strings.EqualFold(g.Domain, one.Domain) {
			one.Agreement = &g
		}
	}
	if past == nil {
		return one, nil
	}
	if one.Received, err = last(ctx, past, a, "inbound"); err == nil {
		one.Sent, err = last(ctx, past, a, "outbound")
	}
	return one, err
}

// add counts a certificate, of which a verdict says whether it serves.
func (b *Ability) add(e store.Entry, v certs.Verdict) {
	switch expires := e.Certificate.NotAfter.UTC(); {
	case v.Result != certs.Pass:
		if !b.Able && b.Reason == "" {
			b.Reason = v.Reason
		}
	case expires.After(b.Until):
		*b = Ability{Able: true, Until: expires, SHA256: describe.Fingerprint(e.Certificate)}
	}
}

// last is the last message from or to an address.
func last(ctx context.Context, past *history.Store, a address.Address, direction string) (*Exchanged, error) {
	page, err := past.Search(ctx, history.Query{Address: a, Direction: direction, Limit: 1})
	if err != nil || len(page.Rows) == 0 {
		return nil, err
	}
	r := page.Rows[0]
	x := &Exchanged{ID: r.ID, Time: r.Time.UTC(), Outcome: r.Outcome, Protection: r.Protection}
	if direction == "inbound" {
		x.Protection = r.Result
		if r.Encryption != "" && r.Encryption != "none" {
			x.Protection += ", " + r.Encryption
		}
	}
	return x, nil
}
