package harvest

import "time"

// Bounds on what strangers can put into the store: certificates for one address,
// new ones for all addresses of a domain, and new ones altogether.
const (
	perAddress = 20
	perDomain  = 200  // an hour
	perHour    = 2000 // of all domains
)

// budget counts the new certificates of an hour. The worker alone uses it.
type budget struct {
	begin   time.Time
	total   int
	domains map[string]int
}

// spend reports whether one more of a domain is allowed, and counts it.
func (b *budget) spend(domain string, now time.Time) bool {
	if now.Sub(b.begin) >= time.Hour {
		*b = budget{begin: now, domains: make(map[string]int)}
	}
	if b.total >= perHour || b.domains[domain] >= perDomain {
		return false
	}
	b.total++
	b.domains[domain]++
	return true
}
