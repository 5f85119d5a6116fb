package api

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// CertificateQuery chooses certificates in the store.
type CertificateQuery struct {
	Paging
	Address  string `query:"address" maxLength:"320" doc:"Only for this mail address."`
	Prefix   string `query:"sha256" pattern:"^[0-9a-fA-F]{0,64}$" doc:"Only with a fingerprint that begins with these digits."`
	Origin   string `query:"origin" enum:"imported,harvested,directory,issued,authority" doc:"Only of this origin."`
	HasKey   string `query:"has_key" enum:"yes,no" doc:"Only with, or without, a private key in the store."`
	Mark     string `query:"mark" enum:"allowed,blocked" doc:"Only with this trust override."`
	Expiring int    `query:"expiring" minimum:"0" maximum:"3660" doc:"Only those that are valid and expire within so many days."`
}

func (in *CertificateQuery) query(now time.Time) (store.Query, error) {
	q := store.Query{Prefix: in.Prefix, Mark: store.Mark(in.Mark), Limit: in.most() + 1}
	if !fingerprintStart.MatchString(in.Prefix) {
		return q, huma.Error422UnprocessableEntity(NoFingerprint, &huma.ErrorDetail{Location: "query.sha256", Message: "write hexadecimal digits"})
	}
	if in.Address != "" {
		a, err := address.Parse(in.Address)
		if err != nil {
			return q, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.address", Message: "write local@domain"})
		}
		q.Address = &a
	}
	if in.Origin != "" {
		q.Origins = []store.Origin{store.Origin(in.Origin)}
	}
	if in.HasKey != "" {
		has := in.HasKey == "yes"
		q.HasKey = &has
	}
	if in.Expiring > 0 {
		q.EndsBefore = now.AddDate(0, 0, in.Expiring)
	}
	if in.Cursor != "" {
		var err error
		if q.After, err = hex.DecodeString(in.Cursor); err != nil || len(q.After) != 32 {
			return q, badCursor()
		}
	}
	return q, nil
}

// NoFingerprint is what a client reads of a search for something else.
const NoFingerprint = "search for an address, or for the first digits of a SHA-256 fingerprint"

// The forms of a fingerprint and of its start, as the description of the API has them.
var (
	wholeFingerprint = regexp.MustCompile(`^[0-9a-f]{64}$`)
	fingerprintStart = regexp.MustCompile(`^[0-9a-fA-F]{0,64}$`)
)

// ListCertificates lists the certificates in the store by their fingerprints; those of an
// address newest first, on one page.
func (o *Operations) ListCertificates(ctx context.Context, in *CertificateQuery) (*Body[List[describe.Stored]], error) {
	now := o.Clock()
	q, err := in.query(now)
	if err != nil {
		return nil, err
	}
	p, release := o.Gateway.Use()
	defer release()
	found, err := p.Store.Find(ctx, q)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	list := make([]describe.Stored, 0, len(found))
	for _, e := range found {
		list = append(list, describe.Entry(e))
	}
	out := listOf(list, in.most(), func(s describe.Stored) string { return s.SHA256 })
	if q.Address != nil {
		out.Next = "" // they are not in the order of fingerprints
	}
	if in.Expiring > 0 {
		valid := out.Items[:0]
		for _, s := range out.Items {
			if s.NotAfter.After(now) {
				valid = append(valid, s)
			}
		}
		out.Items = valid
	}
	return body(out), nil
}

// listIdentities lists the certificates whose private key is in the store.
func (o *Operations) listIdentities(ctx context.Context, in *Paging) (*Body[List[describe.Stored]], error) {
	return o.ListCertificates(ctx, &CertificateQuery{Paging: *in, HasKey: "yes"})
}

// Fingerprint names a certificate.
type Fingerprint struct {
	SHA256 string `path:"sha256" pattern:"^[0-9a-f]{64}$" doc:"SHA-256 fingerprint of the certificate, in lower-case hexadecimal."`
}

// find returns the entry of a fingerprint.
func (o *Operations) find(ctx context.Context, s *store.Store, f Fingerprint) (store.Entry, error) {
	if !wholeFingerprint.MatchString(f.SHA256) {
		return store.Entry{}, o.problem(ctx, store.ErrNotFound)
	}
	found, err := s.Find(ctx, store.Query{Prefix: f.SHA256, Limit: 1, Chain: true})
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Entry{}, o.problem(ctx, err)
	}
	return found[0], nil
}

// ShowCertificate shows what is in a certificate, what it can be used for now, and why not.
func (o *Operations) ShowCertificate(ctx context.Context, in *Fingerprint) (*Body[describe.Certificate], error) {
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	e, err := o.find(ctx, p.Store, *in)
	if err != nil {
		return nil, err
	}
	f := describe.Found{Certificate: e.Certificate, Chain: e.Chain, Entry: &e}
	f.Judge(ctx, p.Checker, "")
	if f.Actions, err = p.Store.Actions(ctx, e.Fingerprint); err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(f.Describe()), nil
}

// PEM is certificates in the form of RFC 7468.
type PEM struct {
	PEM string `json:"pem" maxLength:"1000000"`
}

// ExportCertificate exports a certificate with its chain, without a private key.
func (o *Operations) ExportCertificate(ctx context.Context, in *Fingerprint) (*Body[PEM], error) {
	p, release := o.Gateway.Use()
	defer release()
	e, err := o.find(ctx, p.Store, *in)
	if err != nil {
		return nil, err
	}
	return body(PEM{string(file.EncodeCertificates(append([]*x509.Certificate{e.Certificate}, e.Chain...)))}), nil
}

func fingerprint(c *x509.Certificate) string { return describe.Fingerprint(c) }

// Override is a trust override.
type Override struct {
	Fingerprint
	Body struct {
		Note  string `json:"note" minLength:"1" maxLength:"500" doc:"Why; explanations repeat it."`
		Until string `json:"until,omitempty" format:"date" doc:"Last day of the override, such as 2027-01-31; absent is for ever."`
	}
}

// AllowCertificate trusts a certificate regardless of its issuer.
func (o *Operations) AllowCertificate(ctx context.Context, in *Override) (*Body[describe.Stored], error) {
	return o.override(ctx, in, "certificate.allow", store.Allowed)
}

// BlockCertificate blocks a certificate and all below it.
func (o *Operations) BlockCertificate(ctx context.Context, in *Override) (*Body[describe.Stored], error) {
	return o.override(ctx, in, "certificate.block", store.Blocked)
}

func (o *Operations) override(ctx context.Context, in *Override, action string, mark store.Mark) (*Body[describe.Stored], error) {
	var until time.Time
	if in.Body.Until != "" {
		var err error
		if until, err = time.Parse(time.DateOnly, in.Body.Until); err != nil || !until.AddDate(0, 0, 1).After(o.Clock()) {
			return nil, huma.Error422UnprocessableEntity(badUntil)
		}
	}
	return o.mark(ctx, in.Fingerprint, action, mark, in.Body.Note, until)
}

// ClearCertificate removes a trust override.
func (o *Operations) ClearCertificate(ctx context.Context, in *Fingerprint) (*Body[describe.Stored], error) {
	return o.mark(ctx, *in, "certificate.clear", store.NoMark, "", time.Time{})
}

func (o *Operations) mark(ctx context.Context, f Fingerprint, action string, mark store.Mark, note string, until time.Time) (*Body[describe.Stored], error) {
	after := map[string]any{"mark": mark, "note": note}
	if !until.IsZero() {
		after["until"] = until.Format(time.DateOnly)
	}
	return o.change(ctx, f, access.Entry{Action: action, Reason: note, After: after}, func(s *store.Store, e store.Entry) error {
		return s.SetMark(ctx, e.Fingerprint, mark, note, until)
	})
}

// PinCertificate has an identity sign for its addresses even if a newer one exists.
func (o *Operations) PinCertificate(ctx context.Context, in *Fingerprint) (*Body[describe.Stored], error) {
	return o.pin(ctx, *in, "certificate.pin", true)
}

// UnpinCertificate undoes that.
func (o *Operations) UnpinCertificate(ctx context.Context, in *Fingerprint) (*Body[describe.Stored], error) {
	return o.pin(ctx, *in, "certificate.unpin", false)
}

func (o *Operations) pin(ctx context.Context, f Fingerprint, action string, pinned bool) (*Body[describe.Stored], error) {
	return o.change(ctx, f, access.Entry{Action: action, After: map[string]any{"pinned": pinned}}, func(s *store.Store, e store.Entry) error {
		return s.Pin(ctx, e.Fingerprint, pinned)
	})
}

// change changes what the store says of a certificate.
func (o *Operations) change(ctx context.Context, f Fingerprint, entry access.Entry, do func(*store.Store, store.Entry) error) (*Body[describe.Stored], error) {
	p, release := o.Gateway.Use()
	defer release()
	e, err := o.find(ctx, p.Store, f)
	if err != nil {
		return nil, err
	}
	entry.Object = f.SHA256
	entry.Before = map[string]any{"subject": describe.Entry(e).Subject, "mark": e.Mark, "note": e.Note, "pinned": e.Pinned}
	if err := o.audited(ctx, entry, func() error { return do(p.Store, e) }); err != nil {
		return nil, err
	}
	if e, err = o.find(ctx, p.Store, f); err != nil {
		return nil, err
	}
	return body(describe.Entry(e)), nil
}

// LookupRequest asks for the certificates of an address.
type LookupRequest struct {
	Body struct {
		Address string `json:"address" minLength:"3" maxLength:"320"`
	}
}

// Lookup is what the directories have for an address.
type Lookup struct {
	Address    string                       `json:"address"`
	Outcome    directory.Outcome            `json:"outcome" doc:"usable, none, or unknown if a source was unavailable."`
	Reason     string                       `json:"reason"`
	Sources    []gateway.ExplainedSource    `json:"sources"`
	Candidates []gateway.ExplainedCandidate `json:"candidates"`
}

// LookupCertificates queries the directories for an address, as the gateway does, bypassing
// the cache.
func (o *Operations) LookupCertificates(ctx context.Context, in *LookupRequest) (*Body[Lookup], error) {
	a, err := address.Parse(in.Body.Address)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("address: " + err.Error())
	}
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	r := p.Directory.LookupFresh(ctx, a)
	var x gateway.ExplainedRecipient
	x.AddLookup(r)
	return body(Lookup{a.String(), r.Outcome, r.Reason(), x.Sources, x.Candidates}), nil
}

// ExpiringQuery says how soon.
type ExpiringQuery struct {
	Days int `query:"days" minimum:"0" maximum:"3660" doc:"Within so many days; 0 is the longest of expiry.warn_before."`
}

// ListExpiring lists identities and CAs that expire soon and were not replaced.
func (o *Operations) ListExpiring(ctx context.Context, in *ExpiringQuery) (*Body[List[Expiring]], error) {
	p, release := o.Gateway.Use()
	defer release()
	found, err := p.Expiring(ctx, time.Duration(in.Days)*24*time.Hour)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found[:min(len(found), maxLimit)], maxLimit, nil)), nil
}
