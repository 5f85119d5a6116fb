package relay

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
)

// evidence is the facts of an outbound message with what stands behind them.
type evidence struct {
	facts        enforce.Facts
	identity     *certs.Identity
	certificates map[enforce.Fingerprint]*x509.Certificate
	// results are those of the lookups, in the order of the recipients; zero
	// where nobody had to ask.
	results []directory.Result
}

// collect finds out what a decision on an outbound message needs.
func (g *Gateway) collect(ctx context.Context, env *Envelope, msg *message.Message) (*evidence, error) {
	e := &evidence{certificates: make(map[enforce.Fingerprint]*x509.Certificate)}
	e.facts = enforce.Facts{
		Direction: env.Direction,
		Sender:    env.Sender,
		Signed:    isSigned(msg),
		Encrypted: isEncrypted(msg),
		Exempt:    isAutomatic(env, msg),
	}
	if err := g.author(e, msg); err != nil {
		return nil, err
	}
	g.findIdentity(ctx, e)
	visible := shown(msg)
	for _, r := range env.Recipients {
		e.facts.Recipients = append(e.facts.Recipients, enforce.RecipientFacts{
			Address: r.Address,
			Hidden:  visible == nil || !visible[r.Address.Key(address.IgnoreCase)],
		})
	}
	g.findCertificates(ctx, e)
	return e, nil
}

// author reads From (RFC 5322 section 3.6.2) and refuses senders that are not
// ours.
func (g *Gateway) author(e *evidence, msg *message.Message) error {
	from, err := msg.Addresses("From")
	if e.facts.Exempt {
		// An MTA's own reports bear its name, which need not be a domain of ours.
		e.facts.From = from
		return nil
	}
	switch {
	case err != nil:
		return fault.New(fault.Malformed, "the From field cannot be understood", err)
	case len(from) == 0:
		return fault.New(fault.Malformed, "the message has no From field", nil)
	}
	for _, a := range from {
		if !g.own(a) {
			return fault.New(fault.Policy, fmt.Sprintf("%s is not an address of a domain that may send here", a), nil)
		}
	}
	e.facts.From = from
	if len(from) > 1 || fieldCount(msg, "From") > 1 {
		e.facts.SignForbidden = "the message has several From addresses"
	}
	return nil
}

func fieldCount(msg *message.Message, name string) int {
	return len(msg.All(name))
}

// findIdentity looks for the key that signs for the author.
func (g *Gateway) findIdentity(ctx context.Context, e *evidence) {
	f := &e.facts
	if f.Exempt || len(f.From) != 1 || f.SignForbidden != "" {
		f.Identity, f.IdentityReason = enforce.None, "no single author"
		return
	}
	from := f.From[0]
	id, err := g.Keys.Signing(ctx, from)
	switch {
	case err != nil:
		f.Identity, f.IdentityReason = enforce.Unknown, "the identity of "+from.String()+" cannot be reached"
	case id == nil:
		f.Identity, f.IdentityReason = enforce.None, "there is no valid identity for "+from.String()
	case !slices.ContainsFunc(certs.Addresses(id.Certificate), func(a address.Address) bool { return a.Equal(from, g.LocalPart) }):
		f.Identity, f.IdentityReason = enforce.None, "the identity found does not name "+from.String()
	default:
		f.Identity, e.identity = enforce.Available, id
	}
}

// shown returns the addresses that the message shows as recipients; nil if that
// cannot be told, and then everybody counts as hidden.
func shown(msg *message.Message) map[string]bool {
	visible := make(map[string]bool)
	for _, name := range []string{"To", "Cc", "Resent-To", "Resent-Cc"} {
		list, err := msg.Addresses(name)
		if err != nil {
			return nil
		}
		for _, a := range list {
			visible[a.Key(address.IgnoreCase)] = true
		}
	}
	return visible
}

// findCertificates asks the directory for every recipient on whom the decision
// depends, several at once and each mailbox once.
func (g *Gateway) findCertificates(ctx context.Context, e *evidence) {
	e.results = make([]directory.Result, len(e.facts.Recipients))
	same := make(map[string][]int)
	var keys []string
	for i, r := range e.facts.Recipients {
		if !g.Policy.Wants(e.facts, i) {
			continue
		}
		key := r.Address.Key(address.ExactCase)
		if same[key] == nil {
			keys = append(keys, key)
		}
		same[key] = append(same[key], i)
	}
	var group errgroup.Group
	group.SetLimit(g.Lookups)
	for _, key := range keys {
		places := same[key]
		group.Go(func() error {
			result, err := g.safeLookup(ctx, e.facts.Recipients[places[0]].Address)
			for _, i := range places {
				e.results[i] = result
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		panic(err)
	}
	for i, result := range e.results {
		if result.Outcome != "" {
			e.take(i, result)
		}
	}
}

// safeLookup turns a panic of a lookup into an error, which would otherwise end
// the process: a panic in a goroutine passes by its caller's recover.
func (g *Gateway) safeLookup(ctx context.Context, a address.Address) (r directory.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New(fmt.Sprint("lookup: ", p))
		}
	}()
	return g.lookup(ctx, a), nil
}

// take writes the result of a lookup into the facts.
func (e *evidence) take(i int, result directory.Result) {
	r := &e.facts.Recipients[i]
	r.Certificate, r.Reason = availability(result.Outcome), result.Reason()
	if r.Certificate != enforce.Available {
		return
	}
	for _, cert := range result.Certificates {
		fp := enforce.Fingerprint(sha256.Sum256(cert.Raw))
		e.certificates[fp] = cert
		r.Usable = append(r.Usable, fp)
	}
}

// fingerprint names a certificate for people.
func fingerprint(cert *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(cert.Raw)) }
