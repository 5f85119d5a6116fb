package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
)

// surveyEvery is how often the identities are looked through although nothing
// changed; whether it did is asked every Polls.Expiry.
const surveyEvery = time.Hour

// handOnTime bounds the handing on of one notice.
const handOnTime = 2 * time.Minute

// handOnGrace is how long that may go on when the process is to end: a notice whose last line was sent
// may have been accepted, and would be sent twice.
const handOnGrace = 5 * time.Second

// listedExpiring is how many identities a mail to an administrator lists.
const listedExpiring = 200

// surveyed is what the last survey was of.
type surveyed struct {
	parts      *Parts
	generation int64
	at         time.Time
}

// watchExpiry looks through our identities until ctx ends, keeps the metrics of
// them, and tells of those that end soon.
func (s *Service) watchExpiry(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Expiry)
	defer tick.Stop()
	var last surveyed
	for {
		last = s.survey(ctx, last)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// survey does nothing where nothing changed since the last.
func (s *Service) survey(ctx context.Context, last surveyed) surveyed {
	p, release := s.use()
	defer release()
	now := s.options.Clock()
	generation, err := p.store.Generation(ctx)
	this := surveyed{p, generation, now}
	if err != nil || last.parts == p && last.generation == generation && now.Sub(last.at) < surveyEvery {
		return last // of a store that does not answer others tell
	}
	h, err := p.Survey(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("expiry check failed", "error", err)
		}
		return last
	}
	s.metrics.Identities.Set(float64(h.Count))
	s.metrics.Skipped.Set(float64(len(p.skipped)))
	s.metrics.Expiring.Set(float64(len(h.Expiring)))
	s.metrics.IdentityExpiry.Set(0)
	if !h.First.IsZero() {
		s.metrics.IdentityExpiry.Set(float64(h.First.Unix()))
	}
	if err := (&teller{Service: s, parts: p, now: now}).tell(ctx, h.Expiring); err != nil && ctx.Err() == nil {
		s.log.Warn("some expiry notices could not be sent; they are retried", "error", err)
	}
	s.log.Debug("expiry check done", "identities", h.Count, "expiring", len(h.Expiring))
	return this
}

// teller tells of identities that end soon: everybody once for each threshold,
// whichever node does it and however often it starts.
type teller struct {
	*Service
	parts *Parts
	now   time.Time
}

// ending is an identity with the threshold that it is under.
type ending struct {
	Owned
	threshold time.Duration
}

// maxUntold is after how many failures a survey sends no more notices: the next hop is
// away.
const maxUntold = 3

// tell goes on where one notice cannot be sent: it is tried again with the next
// survey, and nothing counts as sent that was not handed on. The error joins what
// failed.
func (t *teller) tell(ctx context.Context, expiring []Owned) error {
	var all []ending
	for _, o := range expiring {
		if threshold := t.threshold(o); threshold > 0 {
			all = append(all, ending{o, threshold})
		}
	}
	for _, e := range all {
		if err := t.tellLog(ctx, e); err != nil {
			return err
		}
	}
	var errs []error
	for _, n := range t.notices(all) {
		if err := t.mail(ctx, n); err != nil {
			errs = append(errs, err)
		}
		if len(errs) == maxUntold || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// notice is what one person is to know.
type notice struct {
	to    address.Address
	admin bool
	about []ending
}

// notices are those that the configuration asks for: one for each address of each
// identity, and one for each administrator.
func (t *teller) notices(all []ending) []notice {
	var list []notice
	if t.parts.Config.Expiry.MailOwner {
		for _, e := range all {
			for _, a := range certs.Addresses(e.Certificate) {
				list = append(list, notice{to: a, about: []ending{e}})
			}
		}
	}
	for _, text := range t.parts.Config.Expiry.MailTo {
		if a, err := address.Parse(text); err == nil { // the configuration was checked
			list = append(list, notice{to: a, admin: true, about: all})
		}
	}
	return list
}

// threshold is the shortest configured time that what is left is within; 0 for
// none.
func (t *teller) threshold(o Owned) time.Duration {
	left := o.Certificate.NotAfter.Sub(t.now)
	var shortest time.Duration
	for _, d := range t.parts.Config.Expiry.WarnBefore {
		if left <= d && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}

func (t *teller) tellLog(ctx context.Context, e ending) error {
	first, err := t.parts.store.Warned(ctx, warning(e, "log"), e.threshold)
	if err != nil || !first {
		return err
	}
	c := e.Certificate
	what := "identity expires soon and has not been replaced"
	if e.Authority {
		what = "built-in CA expires soon"
	}
	t.log.Warn(what, "addresses", certs.Addresses(c), "subject", pkix.SubjectString(c), "not_after", c.NotAfter.UTC().Format(time.RFC3339),
		"days", int(c.NotAfter.Sub(t.now).Hours()/24), "place", e.Place, "sha256", fingerprint(e))
	return nil
}

// mail notifies one person of those that were not reported to them yet.
func (t *teller) mail(ctx context.Context, n notice) error {
	whom := "owner " + n.to.Key(address.ExactCase)
	if n.admin {
		whom = "administrator " + n.to.Key(address.ExactCase)
	}
	var news []ending
	for _, e := range n.about {
		first, err := t.parts.store.Warned(ctx, warning(e, whom), e.threshold)
		if err != nil {
			return errors.Join(err, t.untell(news, whom))
		}
		if first {
			news = append(news, e)
		}
	}
	if len(news) == 0 {
		return nil
	}
	var list []dsn.Expiring
	for _, e := range news[:min(len(news), listedExpiring)] {
		list = append(list, expiring(e))
	}
	d, err := t.parts.Gateway.ExpiryNotice(ctx, n.to, n.admin, list, len(news)-len(list))
	if err == nil {
		err = t.handOn(ctx, d)
	}
	switch {
	case err == nil:
		t.log.Info("expiry notice sent", "recipient", n.to.String(), "identities", len(news))
		return nil
	case fault.Of(err).Kind.Temporary():
		return errors.Join(err, t.untell(news, whom))
	}
	t.log.Warn("expiry notice rejected by the next hop", "recipient", n.to.String(), "error", err)
	return nil
}

// untell undoes the note that a notice was sent. It is done also when we are ending.
func (t *teller) untell(list []ending, whom string) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	var errs []error
	for _, e := range list {
		errs = append(errs, t.parts.store.Unwarn(ctx, warning(e, whom), e.threshold))
	}
	return errors.Join(errs...)
}

// handOn gives a notice to the queue, or to the next hop where there is none.
func (t *teller) handOn(ctx context.Context, d relay.Delivery) error {
	ctx, end := background.Linger(ctx, handOnGrace)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, handOnTime)
	defer cancel()
	if q := t.openedQueue(); q != nil {
		return q.Put(ctx, relay.Batch{Notices: []relay.Delivery{d}})
	}
	errs, _ := nextHop{service: t.Service}.Deliver(ctx, d)
	return errs[0]
}

// warning is what the store notes: that a notice about a certificate was sent.
func warning(e ending, whom string) [sha256.Size]byte {
	return sha256.Sum256(slices.Concat(e.Certificate.Raw, []byte(whom)))
}

func fingerprint(e ending) string {
	sum := sha256.Sum256(e.Certificate.Raw)
	return hex.EncodeToString(sum[:])
}

func expiring(e ending) dsn.Expiring {
	c := e.Certificate
	return dsn.Expiring{
		Addresses: certs.Addresses(c), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
		Fingerprint: fingerprint(e), Ends: c.NotAfter,
	}
}
