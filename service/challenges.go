package service

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
)

// acme makes the provider of a table.
func (b *builder) acme(e *config.Enrolment) (*acme.Provider, error) {
	p, err := acme.NewProvider(acme.Config{
		Enrolment: e.Name, URL: e.URL, CA: e.CA, Contact: e.Contact, AcceptTerms: e.AcceptTerms,
		EABKeyID: e.EABKeyID, EABKeyFile: e.EABKeyFile, Store: b.parts.store.Store, Clock: b.clock,
	})
	if err != nil {
		return nil, err
	}
	b.parts.closers = append(b.parts.closers, p.Close)
	if b.responders == nil {
		b.responders = map[string]acme.ResponderEnrolment{}
	}
	b.responders[e.Name] = acme.ResponderEnrolment{Provider: p, Servers: e.AuthServID, Deliver: e.DeliverToo}
	return p, nil
}

// challenges makes what takes the messages of certification authorities; nil where none
// sends any.
func (b *builder) challenges() gateway.Challenges {
	if len(b.responders) == 0 {
		return nil
	}
	lookup := b.lookup()
	b.parts.responder = acme.NewResponder(acme.ResponderConfig{
		Store: b.parts.store.Store, Enrolments: b.responders, TXT: lookup.TXT, NoName: dns.ErrNoName,
		Hostname: b.name, Clock: b.clock, Log: b.log,
	})
	return responder{b.parts.responder}
}

// responder is acme.Responder for the gateway.
type responder struct{ *acme.Responder }

// Take implements gateway.Challenges.
func (r responder) Take(ctx context.Context, c gateway.Challenge) (gateway.Taken, error) {
	v, err := r.Responder.Take(ctx, &acme.Mail{Message: c.Message, To: c.To, Signer: c.Signer})
	return gateway.Taken(v), err
}

// Covered implements gateway.Challenges.
func (r responder) Covered() []string { return acme.Covered() }

// answerChallenges sends the answers to authorities that are due. They bear the null
// reverse-path: no report of theirs may reach the user, who knows nothing of them.
func (s *Service) answerChallenges(ctx context.Context, p *Parts) error {
	if p.responder == nil {
		return nil
	}
	return p.responder.Answers(ctx, func(ctx context.Context, a acme.Answer) error {
		if a.To.IsNull() {
			return errors.New("the CA's message has no author")
		}
		return (&teller{Service: s, parts: p}).handOn(ctx, relay.Delivery{
			Recipients: []relay.Recipient{{Address: a.To, Notify: []string{"NEVER"}}},
			Params:     relay.MailParams{SMTPUTF8: !a.To.ASCII()}, Message: a.Message,
		})
	})
}
