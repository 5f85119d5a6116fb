package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ask has what questions to recipients need.
func (b *builder) ask() gateway.Ask {
	c := b.config.Ask
	english, german, standard := b.patterns("ask.english", c.English), b.patterns("ask.german", c.German), b.config.Notices.Language
	a := gateway.Ask{Again: c.Again, Language: func(a address.Address) string {
		switch {
		case english != nil && english.Match(a):
			return "en"
		case german != nil && german.Match(a):
			return "de"
		}
		return standard
	}}
	var err error
	if c.From != "" {
		if a.From, err = address.Parse(c.From); err != nil {
			b.complain("ask.from", err.Error(), "write an address")
		}
	}
	a.Texts, err = dsn.ReadQuestionTexts(b.noticesFolder())
	for _, e := range fault.Each(err) {
		b.complain("notices.folder", e.Error(), "correct the file")
	}
	if b.parts.harvester != nil {
		a.Learns = b.parts.harvester.Wants
	}
	b.answerable()
	return a
}

// answerable complains of rules that ask though no answer could be learned from.
func (b *builder) answerable() {
	in := b.config.Inbound
	for i, r := range b.config.Rules {
		if r.NoCertificate == "ask" && (!in.Harvest || !in.Verify) {
			b.complain(key("rule", i, "no_certificate"), `"ask" needs certificates to be learned from the answers`,
				`set inbound.verify = true and inbound.harvest = true, or write "hold"`)
		}
	}
}

// asksUnsigned reports whether a rule asks recipients for certificates, and the questions
// cannot be signed: then none is sent.
func (p *Parts) asksUnsigned() bool {
	if !slices.ContainsFunc(p.Config.Rules, func(r config.Rule) bool { return r.NoCertificate == "ask" }) {
		return false
	}
	own, err := p.Keys.Signing(context.Background(), p.Gateway.Ask.From)
	return err == nil && own == nil
}

// noticesFolder is the folder with custom texts; nil if there is none.
func (b *builder) noticesFolder() fs.FS {
	if b.config.Notices.Folder == "" {
		return nil
	}
	return os.DirFS(b.config.Notices.Folder)
}

// answered passes on what answers to questions bring.
func (b *builder) answered(a gateway.Answer) {
	b.parts.harvester.Answer(a.Author, a.Files, func(ctx context.Context) (bool, error) {
		var errs []error
		for _, id := range a.To {
			ok, err := b.asked(ctx, a.Author, id)
			if ok {
				return true, nil
			}
			errs = append(errs, err)
		}
		return false, errors.Join(errs...)
	})
}

// asked reports whether a recipient was asked by the message of a Message-ID.
func (s *Service) asked(ctx context.Context, a address.Address, messageID string) (bool, error) {
	q := s.openedQueue()
	if q == nil {
		return false, nil
	}
	return q.Asked(ctx, a, messageID)
}
