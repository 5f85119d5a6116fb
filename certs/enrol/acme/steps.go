package acme

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	pki "github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

const (
	// promptAfter is how long the message of the authority is waited for before the server
	// is asked to go on: some send it only then.
	promptAfter = 5 * time.Minute
	// askSoonest and askLatest bound when an order is looked at again.
	askSoonest = 10 * time.Second
	askLatest  = time.Hour
	// finalizeTime is how long a certificate is waited for at once.
	finalizeTime = 5 * time.Second
)

// Begin implements enrol.Provider.
func (p *Provider) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return p.Continue(ctx, o)
}

// Continue implements enrol.Provider: it goes on where the order at the authority is. What
// is known of that is in the answer also with an error.
func (p *Provider) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	r, err := readReference(o.Reference)
	if err != nil {
		return enrol.Answer{}, err
	}
	a, err := p.advance(ctx, o, &r)
	a.Reference = r.encode()
	return a, p.judged(err)
}

func (p *Provider) advance(ctx context.Context, o *enrol.Order, r *reference) (enrol.Answer, error) {
	account, err := p.registered(ctx)
	if err != nil {
		return enrol.Answer{}, err
	}
	if o.State == store.OrderCancelled {
		return p.recall(ctx, account, r)
	}
	made := r.Order == ""
	if made {
		if wait, err := p.mustWait(ctx, o); err != nil || wait {
			return enrol.Answer{After: askSoonest}, err
		}
		if err := p.order(ctx, account, o, r); err != nil {
			return enrol.Answer{}, err
		}
	}
	order, err := p.client.GetOrder(ctx, account, acme.Order{Location: r.Order})
	if gone(err) {
		return abandon(r, "the CA no longer knows the order: "+err.Error())
	}
	if err != nil {
		return enrol.Answer{}, err
	}
	if made && order.Status == acme.StatusReady {
		// Nothing is issued before the store knows which order it is of.
		return enrol.Answer{After: askSoonest}, nil
	}
	return p.step(ctx, account, o, r, order)
}

// recall fetches what was issued for an order that was cancelled. It makes no order, and sends no
// request: without one nothing is issued.
func (p *Provider) recall(ctx context.Context, account acme.Account, r *reference) (enrol.Answer, error) {
	if r.Order == "" {
		return enrol.Answer{}, &enrol.Refusal{Cause: errors.New("cancelled before anything was ordered")}
	}
	order, err := p.client.GetOrder(ctx, account, acme.Order{Location: r.Order})
	switch {
	case gone(err):
		return abandon(r, "the CA no longer knows the order: "+err.Error())
	case err != nil:
		return enrol.Answer{}, err
	case order.Status == acme.StatusValid:
		return p.fetch(ctx, account, order)
	case order.Status == acme.StatusProcessing:
		return enrol.Answer{After: p.pause(r)}, nil
	}
	return abandon(r, "cancelled before the request was sent")
}

// mustWait reports whether another order of the address is at the authority: their
// messages are alike.
func (p *Provider) mustWait(ctx context.Context, o *enrol.Order) (bool, error) {
	open, err := p.Store.Orders(ctx, store.OrderQuery{Address: &o.Address, Enrolment: o.Enrolment, States: []store.OrderState{store.OrderSent}})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(open, func(other store.Order) bool {
		r, err := readReference(other.Reference)
		return other.ID != o.ID && (err != nil || r.Order != "")
	}), nil
}

// order makes an order at the authority.
func (p *Provider) order(ctx context.Context, account acme.Account, o *enrol.Order, r *reference) error {
	if !o.Address.ASCII() {
		return &enrol.Refusal{Cause: errors.New("an answer from an address that is not ASCII cannot be sent; name the address in another [[enrolment]]")}
	}
	order, err := p.client.NewOrder(ctx, account, acme.Order{Identifiers: []acme.Identifier{{Type: identifierType, Value: o.Address.String()}}})
	if err != nil {
		return err
	}
	if order.Location == "" {
		return errors.New("the answer to a new order does not say where it is")
	}
	*r = reference{Order: order.Location, Since: p.Clock().Unix()}
	return nil
}

// abandon ends an order at the authority. After enrol retry another one is made there.
func abandon(r *reference, why string) (enrol.Answer, error) {
	*r = reference{}
	return enrol.Answer{}, &enrol.Refusal{Cause: errors.New(why)}
}

// step does what the state of an order asks for (RFC 8555 section 7.1.6).
func (p *Provider) step(ctx context.Context, account acme.Account, o *enrol.Order, r *reference, order acme.Order) (enrol.Answer, error) {
	switch order.Status {
	case acme.StatusPending:
		return p.authorize(ctx, account, o, r, order)
	case acme.StatusReady:
		return p.finalize(ctx, account, o, r, order)
	case acme.StatusProcessing:
		return enrol.Answer{After: p.pause(r)}, nil
	case acme.StatusValid:
		return p.fetch(ctx, account, order)
	case acme.StatusInvalid:
		return p.invalid(ctx, account, r, order)
	}
	return enrol.Answer{}, fmt.Errorf("the order is %q, which is no state of an order", order.Status)
}

// pause is when an order is asked for again: the longer it takes, the later.
func (p *Provider) pause(r *reference) time.Duration {
	return min(max(r.age(p.Clock())/4, askSoonest), askLatest)
}

// authorize follows the challenge.
func (p *Provider) authorize(ctx context.Context, account acme.Account, o *enrol.Order, r *reference, order acme.Order) (enrol.Answer, error) {
	if len(order.Authorizations) != 1 {
		return abandon(r, fmt.Sprintf("the CA wants %d authorizations for one address", len(order.Authorizations)))
	}
	authorization, err := p.client.GetAuthorization(ctx, account, order.Authorizations[0])
	if err != nil {
		return enrol.Answer{}, err
	}
	if authorization.Status == acme.StatusValid {
		return enrol.Answer{After: askSoonest}, nil
	}
	c, err := chosen(authorization, o.Address)
	if err != nil {
		return abandon(r, err.Error())
	}
	r.Challenge, r.From, r.Token = c.URL, c.From, c.Token
	if c.Status != acme.StatusPending {
		return enrol.Answer{After: p.pause(r)}, nil
	}
	return p.announce(ctx, account, o, r, c)
}

// chosen is the challenge by mail.
func chosen(a acme.Authorization, to address.Address) (acme.Challenge, error) {
	i := slices.IndexFunc(a.Challenges, func(c acme.Challenge) bool { return c.Type == challengeType })
	if i < 0 {
		return acme.Challenge{}, fmt.Errorf("the CA offers no challenge %s (RFC 8823)", challengeType)
	}
	c := a.Challenges[i]
	if named, err := address.Parse(a.Identifier.Value); a.Identifier.Type != identifierType || err != nil || !named.Equal(to, address.IgnoreCase) {
		return c, fmt.Errorf("the CA wants an authorization for %s %q", a.Identifier.Type, a.Identifier.Value)
	}
	if _, err := address.Parse(c.From); err != nil || c.URL == "" || !isToken(c.Token) {
		return c, errors.New("the challenge of the CA lacks its sender, its token or its URL")
	}
	return c, nil
}

// announce tells the server that the answer is on its way, and one that sent no message to
// go on (RFC 8555 section 7.5.1): some send it only then. The same for each later
// answer: a message may have been that of a stranger's order for the same address.
func (p *Provider) announce(ctx context.Context, account acme.Account, o *enrol.Order, r *reference, c acme.Challenge) (enrol.Answer, error) {
	came, err := p.Store.Challenges(ctx, o.ID, c.URL)
	if err != nil {
		return enrol.Answer{}, err
	}
	answered := 0
	for _, c := range came {
		if !c.RepliedAt.IsZero() {
			answered++
		}
	}
	missing := len(came) == 0 && !r.Prompted && r.age(p.Clock()) >= promptAfter
	if answered <= r.Announced && !missing {
		return enrol.Answer{After: p.pause(r)}, nil
	}
	if _, err = p.client.InitiateChallenge(ctx, account, c); err == nil {
		r.Announced, r.Prompted = answered, true
	}
	return enrol.Answer{After: askSoonest}, err
}

// finalize sends the request (RFC 8555 section 7.4), and fetches the certificate if it is
// there at once.
func (p *Provider) finalize(ctx context.Context, account acme.Account, o *enrol.Order, r *reference, order acme.Order) (enrol.Answer, error) {
	csr, err := o.CSR()
	if err != nil {
		return enrol.Answer{}, &enrol.Refusal{Cause: err}
	}
	short, cancel := context.WithTimeout(ctx, finalizeTime)
	defer cancel()
	_, failed := p.client.FinalizeOrder(short, account, order, csr)
	// Whatever was said: the state of the order counts.
	order, err = p.client.GetOrder(ctx, account, acme.Order{Location: r.Order})
	switch {
	case err != nil:
		return enrol.Answer{}, errors.Join(failed, err)
	case order.Status == acme.StatusReady || order.Status == acme.StatusPending:
		if failed == nil {
			failed = errors.New("the order did not take the request")
		}
		return enrol.Answer{}, failed
	}
	return p.step(ctx, account, o, r, order)
}

// fetch gets the certificate.
func (p *Provider) fetch(ctx context.Context, account acme.Account, order acme.Order) (enrol.Answer, error) {
	chains, err := p.client.GetCertificateChain(ctx, account, order.Certificate)
	if err != nil {
		return enrol.Answer{}, err
	}
	list, err := parseChain(chains[0].ChainPEM)
	return enrol.Answer{Certificates: list}, err
}

// parseChain reads application/pem-certificate-chain (RFC 8555 section 9.1).
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		c, err := pki.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the certificate that came cannot be read: %w", err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("the answer to the request for the certificate has none")
	}
	return list, nil
}

// invalid says why an order failed.
func (p *Provider) invalid(ctx context.Context, account acme.Account, r *reference, order acme.Order) (enrol.Answer, error) {
	reason := said(order.Error)
	if len(order.Authorizations) > 0 {
		if a, err := p.client.GetAuthorization(ctx, account, order.Authorizations[0]); err == nil {
			for _, c := range a.Challenges {
				if c.Error != nil {
					reason = said(c.Error)
				}
			}
		}
	}
	if came := r.Challenge; came != "" && r.Announced == 0 {
		reason += "; its message did not come in, or could not be answered"
	}
	return abandon(r, "the CA gave the order up: "+reason)
}
