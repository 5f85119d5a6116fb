package smtpclient

import (
	"maps"
	"strconv"
	"strings"
)

// Limits that a server may announce (RFC 9422 section 4).
const (
	mailMax   = "MAILMAX"       // transactions in a session
	rcptMax   = "RCPTMAX"       // recipients in a transaction
	domainMax = "RCPTDOMAINMAX" // domains of recipients in a session
)

// limit is one that the hop has announced; 0 is none. What is no number of one to six
// digits is not a limit.
func (h *hop) limit(name string) int {
	for p := range strings.FieldsSeq(h.extensions["LIMITS"]) {
		key, value, _ := strings.Cut(p, "=")
		if n, err := strconv.ParseUint(value, 10, 0); strings.EqualFold(key, name) && err == nil && len(value) <= 6 {
			return int(n)
		}
	}
	return 0
}

// used reports whether the hop wants no more transactions in this session.
func (h *hop) used() bool {
	limit := h.client.config.PerConnection
	if n := h.limit(mailMax); n > 0 {
		limit = min(limit, n)
	}
	return h.messages >= limit
}

// share returns those of the open recipients that the hop may get in one transaction. On a
// new connection there is at least one.
func (h *hop) share(t *Transfer) (recipients []int) {
	limit, most := h.limit(rcptMax), h.limit(domainMax)
	domains := maps.Clone(h.domains)
	for _, i := range t.open {
		if limit > 0 && len(recipients) == limit {
			break
		}
		domain := t.d.Recipients[i].Address.Domain()
		if most > 0 && !domains[domain] && len(domains) >= most {
			continue
		}
		domains[domain] = true
		recipients = append(recipients, i)
	}
	return recipients
}
