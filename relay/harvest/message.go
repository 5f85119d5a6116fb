package harvest

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Message takes in what a message says of its author. It returns at once.
func (h *Harvester) Message(r *smime.Report) {
	if !passed(r) || !h.Wants(r.Author) {
		return
	}
	for _, s := range r.Signers {
		if !h.recent.has(sha256.Sum256(s.Certificate.Raw), lesson(s), h.cfg.Clock()) {
			h.enqueue(func(ctx context.Context) { h.learn(ctx, r.Author, s) })
		}
	}
}

// passed reports whether a message and every one of its signatures passed. One that
// did not may have been added by anybody, to make the others teach.
func passed(r *smime.Report) bool {
	return r.Result == certs.Pass && !r.Author.IsNull() && !slices.ContainsFunc(r.Signers, func(s smime.Signer) bool {
		return s.Result != certs.Pass || s.Certificate == nil
	})
}

// wanted reports whether the configuration wants certificates of an author.
func (h *Harvester) wanted(author address.Address) bool {
	in := func(p *enforce.Patterns) bool { return p != nil && p.Match(author) }
	if in(h.cfg.Except) {
		return false
	}
	if h.cfg.From == nil {
		return !in(h.cfg.Own)
	}
	return in(h.cfg.From)
}

// lesson is what a signer said, in a form to compare.
func lesson(s smime.Signer) string {
	var b strings.Builder
	for _, c := range s.Capabilities.Ciphers() {
		b.WriteString(string(c) + " ")
	}
	if s.Preferred != nil {
		b.Write(s.Preferred.RawIssuer)
		b.Write(s.Preferred.Serial)
		b.Write(s.Preferred.SubjectKeyID)
	}
	return b.String()
}
