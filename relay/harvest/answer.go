package harvest

import (
	"context"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxAnswered is how many certificates of an answer are judged.
const maxAnswered = 8

// Answer takes in files that came with an answer to a question. The answer need not be
// signed: that its author was asked, by a message that no one else got, is for asked to find
// out, and the certificate must be good for the author as one of a directory must be. It
// returns at once.
func (h *Harvester) Answer(author address.Address, files [][]byte, asked func(context.Context) (bool, error)) {
	if !h.Wants(author) {
		return
	}
	h.enqueue(func(ctx context.Context) {
		ok, err := asked(ctx)
		if err != nil {
			h.counted(outcomeFailed)
			h.cfg.Log.WarnContext(ctx, "not harvested", "address", author, "error", err)
			return
		}
		if !ok {
			h.counted(outcomeRefused)
			h.cfg.Log.InfoContext(ctx, "not harvested: certificates came with an answer of someone who was not asked", "address", author)
			return
		}
		h.learnFiles(ctx, author, files)
	})
}

// Wants reports whether the certificates of an author are kept.
func (h *Harvester) Wants(author address.Address) bool { return !h.cfg.Off && h.wanted(author) }

// learnFiles stores the certificates in files that are good for encryption to the author.
func (h *Harvester) learnFiles(ctx context.Context, author address.Address, files [][]byte) {
	var all []*x509.Certificate
	for _, f := range files {
		list, err := file.ParseCertificates(f)
		if len(list) == 0 {
			h.cfg.Log.InfoContext(ctx, "a file in an answer has no certificates", "address", author, "error", err)
		}
		all = append(all, list...)
	}
	if len(all) > maxAnswered {
		all = all[:maxAnswered]
	}
	for _, c := range all {
		verdict := h.cfg.Checker.Check(ctx, c, certs.Request{
			Purpose: certs.ForEncryption, Addresses: []address.Address{author}, Intermediates: all,
		})
		if verdict.Result != certs.Pass {
			h.counted(outcomeRefused)
			h.cfg.Log.InfoContext(ctx, "not harvested", "address", author, "result", verdict.Result, "reason", verdict.Reason)
			continue
		}
		outcome, err := h.store(ctx, author, newEntry(smime.Signer{}, c, verdict, h.cfg.Clock()))
		h.counted(outcome)
		if err != nil {
			h.cfg.Log.WarnContext(ctx, "not harvested", "address", author, "error", err)
		}
	}
}
