package api

import (
	"context"
	"time"
)

// ShowRevocation shows what is known of revocation lists and OCSP.
func (o *Operations) ShowRevocation(context.Context, *Empty) (*Body[RevocationState], error) {
	p, release := o.Gateway.Use()
	defer release()
	return body(p.Revocation()), nil
}

// ExpiriesQuery chooses a time.
type ExpiriesQuery struct {
	Days int `query:"days" minimum:"1" maximum:"3660" default:"366" doc:"How many days from now."`
}

// Expiry is how many certificates of the store expire on a day.
type Expiry struct {
	Day        time.Time `json:"day" doc:"Its begin, UTC."`
	Identities int       `json:"identities" doc:"Those with a private key in the store."`
	Partners   int       `json:"partners" doc:"All others but those of authorities."`
}

// ListExpiries counts the certificates of the store by the day on which they expire.
func (o *Operations) ListExpiries(ctx context.Context, in *ExpiriesQuery) (*Body[List[Expiry]], error) {
	p, release := o.Gateway.Use()
	defer release()
	now := o.Clock()
	days, err := p.Store.Expiries(ctx, now, now.AddDate(0, 0, in.Days))
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	list := []Expiry{}
	for _, d := range days {
		list = append(list, Expiry{Day: d.Day, Identities: d.Identities, Partners: d.Others})
	}
	return body(listOf(list, len(list), nil)), nil
}
