package revocation

import (
	"cmp"
	"slices"
	"time"
)

// KnownList is a revocation list that was fetched, or could not be.
type KnownList struct {
	Address string
	// ThisUpdate and NextUpdate are those of the list, Revoked is how many serial numbers it
	// has; zero where there is no list.
	ThisUpdate, NextUpdate time.Time
	Revoked                int
	// Err is why the last fetch failed; nil if it did not.
	Err error
}

// KnownResponses counts what OCSP responders were asked: responses that hold now, and
// questions that had none the last time.
type KnownResponses struct{ Current, Failed int }

// Known returns what is remembered of revocation lists, by their addresses, and of OCSP.
func (f *Fetcher) Known() (lists []KnownList, responses KnownResponses) {
	f.lists.slots.Each(func(address string, s slot[*List]) {
		k := KnownList{Address: address, Err: s.err}
		if s.has {
			k.ThisUpdate, k.NextUpdate, k.Revoked = s.value.ThisUpdate, s.value.NextUpdate, s.value.Len()
		}
		lists = append(lists, k)
	})
	slices.SortFunc(lists, func(a, b KnownList) int { return cmp.Compare(a.Address, b.Address) })
	now := f.cfg.Clock()
	f.responses.slots.Each(func(_ string, s slot[*response]) {
		switch {
		case s.holds(now):
			responses.Current++
		case s.err != nil:
			responses.Failed++
		}
	})
	return lists, responses
}
