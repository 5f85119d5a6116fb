package service

import (
	"fmt"

	"github.com/smimerelay/smimerelay/console/api"
)

// revocation is what the parts know of revocation lists and OCSP.
func (p *Parts) revocation() api.RevocationState {
	r := api.RevocationState{Lists: []api.RevocationList{}}
	for _, l := range p.lists {
		r.Lists = append(r.Lists, api.RevocationList{
			Source: fmt.Sprintf("%s: %s", l.key, l.path), Issued: l.ThisUpdate.UTC(), Expires: l.NextUpdate.UTC(), Revoked: l.Len(),
		})
	}
	if p.fetcher == nil {
		return r
	}
	lists, responses := p.fetcher.Known()
	for _, l := range lists {
		k := api.RevocationList{Source: l.Address, Issued: l.ThisUpdate.UTC(), Expires: l.NextUpdate.UTC(), Revoked: l.Revoked}
		if l.Err != nil {
			k.Error = l.Err.Error()
		}
		r.Lists = append(r.Lists, k)
	}
	r.Responses, r.Failed = responses.Current, responses.Failed
	return r
}
