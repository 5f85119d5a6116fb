package harvest

import (
	"context"
	"crypto/sha256"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
)

// Looked takes in the result of a lookup: the store notes the verdicts on its
// certificates, for those who list them. It returns at once, and has nothing to do
// for what was remembered or has been noted in the last day.
func (h *Harvester) Looked(r directory.Result) {
	if len(r.Candidates) == 0 || len(r.Answers) > 0 && r.Answers[0].Cached {
		return
	}
	now := h.cfg.Clock()
	news := make(map[[32]byte]certs.Verdict)
	for _, c := range r.Candidates {
		fingerprint, word := sha256.Sum256(c.Certificate.Raw), string(c.Verdict.Result)+" "+string(c.Verdict.Reason)
		if h.noted.put(fingerprint, word, now) {
			news[fingerprint] = c.Verdict
		}
	}
	if len(news) == 0 {
		return
	}
	h.enqueue(func(ctx context.Context) {
		if err := h.cfg.Store.Judged(ctx, news); err != nil {
			h.cfg.Log.WarnContext(ctx, "verification results could not be saved in the store", "error", err)
		}
	})
}
