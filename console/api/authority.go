package api

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ListAuthorities lists the built-in CAs with their CRLs.
func (o *Operations) ListAuthorities(ctx context.Context, _ *Empty) (*Body[List[Authority]], error) {
	p, release := o.Gateway.Use()
	defer release()
	found, err := p.Authorities(ctx)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found, maxLimit, nil)), nil
}

// IssueRequest orders a certificate.
type IssueRequest struct {
	Body struct {
		Address  string `json:"address" minLength:"3" maxLength:"320" doc:"In a local domain."`
		Key      string `json:"key,omitempty" enum:"auto,p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87" doc:"Key type; absent is ca.key_type."`
		Days     int    `json:"days,omitempty" minimum:"1" maximum:"825" doc:"Days of validity; absent is ca.validity."`
		Separate bool   `json:"separate,omitempty" doc:"Two certificates with separate keys, for signing and for encryption."`
		Again    bool   `json:"again,omitempty" doc:"Issue even if the address has a certificate of the CA that is still valid."`
	}
}

// IssueIdentity has the built-in CA issue for an address. The keys are in the store, and the
// gateway signs with them from now on; they are no part of the answer.
func (o *Operations) IssueIdentity(ctx context.Context, in *IssueRequest) (*Body[List[describe.Stored]], error) {
	addr, err := address.Parse(in.Body.Address)
	if err != nil {
		return nil, badField("address", err)
	}
	end, err := o.begin(ctx) // a key is made
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	entry := access.Entry{Action: "certificate.issue", Object: addr.String(), After: map[string]any{
		"key": in.Body.Key, "days": in.Body.Days, "separate": in.Body.Separate, "again": in.Body.Again,
	}}
	var out []describe.Stored
	err = o.audited(ctx, entry, func() error {
		issued, err := p.Issue(ctx, Issue{Address: addr, Key: in.Body.Key, Days: in.Body.Days, Separate: in.Body.Separate, Again: in.Body.Again})
		for _, c := range issued {
			if err != nil {
				break
			}
			var e store.Entry
			if e, err = o.find(ctx, p.Store, Fingerprint{fingerprint(c)}); err == nil {
				out = append(out, describe.Entry(e))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return body(listOf(out, len(out), nil)), nil
}

// Revocation is why a certificate is revoked.
type Revocation struct {
	Fingerprint
	Body struct {
		Reason string `json:"reason" enum:"unspecified,key-compromise,affiliation-changed,superseded,cessation,privilege-withdrawn" doc:"As in the CRL (RFC 5280)."`
	}
}

// RevocationReasons are those of Revocation.
func RevocationReasons() []string {
	f, _ := reflect.TypeFor[Revocation]().FieldByName("Body")
	reason, _ := f.Type.FieldByName("Reason")
	return strings.Split(reason.Tag.Get("enum"), ",")
}

// RevokeCertificate revokes a certificate that the built-in CA issued, for good, and publishes
// the new CRL. The CA itself is revoked on the gateway's host.
func (o *Operations) RevokeCertificate(ctx context.Context, in *Revocation) (*Body[describe.Stored], error) {
	p, release := o.Gateway.Use()
	defer release()
	e, err := o.find(ctx, p.Store, in.Fingerprint)
	switch {
	case err != nil:
		return nil, err
	case e.Origin != store.Issued:
		return nil, o.problem(ctx, Refused{errors.New(onlyIssued)})
	case !e.RevokedAt.IsZero():
		return nil, o.problem(ctx, Refused{errors.New(revokedBefore)})
	}
	return o.change(ctx, in.Fingerprint, access.Entry{Action: "certificate.revoke", Reason: in.Body.Reason}, func(_ *store.Store, e store.Entry) error {
		return p.Revoke(ctx, e.Certificate, in.Body.Reason)
	})
}
