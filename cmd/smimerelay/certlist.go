package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certListCmd struct {
	storeFlags
	JSON     bool     `name:"json" help:"Print the list as JSON."`
	Origin   []string `enum:"imported,harvested,directory,issued,authority" placeholder:"ORIGIN" help:"Only certificates of this origin: imported, harvested, directory, issued, authority. Repeatable."`
	HasKey   string   `enum:",yes,no" default:"" placeholder:"yes|no" help:"Only certificates with, or without, a private key in the store."`
	Mark     string   `enum:",allowed,blocked" default:"" placeholder:"MARK" help:"Only certificates with this trust override: allowed, blocked."`
	Expiring span     `placeholder:"TIME" help:"Only valid certificates that expire within this time, such as 30d."`
	After    string   `placeholder:"SHA256" help:"Start after this fingerprint (all digits), to continue where --limit stopped."`
	Limit    int      `placeholder:"N" help:"Maximum number of certificates."`
	Address  string   `arg:"" optional:"" name:"address" help:"Only certificates for this address, newest first."`
}

// Help is shown below the summary.
func (certListCmd) Help() string {
	return `One line per certificate: the start of its SHA-256 fingerprint, its origin, key if the private key is in the store, pinned, its trust override, the verdict (usable, or why not, by the trust of the configuration and without its revocation status), its expiry date, and its addresses. The list is sorted by fingerprint. Large stores are read in parts.`
}

func (certListCmd) examples() string {
	return `smimerelay cert list
		smimerelay cert list bob@example.net
		smimerelay cert list --has-key yes --expiring 30d
		smimerelay cert list --mark blocked --json | jq -r '.[].note'`
}

// listPage is how many entries are in memory at once.
const listPage = 500

// Run prints the entries that the flags ask for.
func (c *certListCmd) Run(a *app) error {
	q, err := c.query(a.clock())
	if err != nil {
		return err
	}
	return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		if c.JSON {
			out := &jsonList{a: a}
			if err := c.each(ctx, s, q, a.clock(), out.entry); err != nil {
				return err
			}
			return out.end()
		}
		j, done, err := c.judgeFor(ctx, a, s)
		if err != nil {
			return err
		}
		out := &textList{p: a.page(), verdict: func(e store.Entry) string {
			if e.Origin == store.Authority {
				return "-"
			}
			return j.word(ctx, e.Certificate, e.Chain)
		}}
		q.Chain = true
		return errors.Join(c.each(ctx, s, q, a.clock(), out.entry), out.end(), done())
	})
}

func (c *certListCmd) query(now time.Time) (q store.Query, err error) {
	if c.Address != "" {
		addr, err := address.Parse(c.Address)
		if err != nil {
			return q, unusable(fmt.Errorf("ADDRESS: %w; write local@domain", err))
		}
		if c.After != "" {
			return q, unusable(fmt.Errorf("--after: cannot be combined with an address, whose certificates are all listed at once; omit it"))
		}
		q.Address = &addr
	}
	for _, o := range c.Origin {
		q.Origins = append(q.Origins, store.Origin(o))
	}
	if c.HasKey != "" {
		has := c.HasKey == "yes"
		q.HasKey = &has
	}
	q.Mark = store.Mark(c.Mark)
	if c.Expiring > 0 {
		q.EndsBefore = now.Add(time.Duration(c.Expiring))
	}
	if c.After != "" {
		if q.After, err = wholeFingerprint(c.After); err != nil {
			return q, unusable(fmt.Errorf("--after: %w", err))
		}
	}
	return q, nil
}

// each calls f for the entries, page by page.
func (c *certListCmd) each(ctx context.Context, s *store.Store, q store.Query, now time.Time, f func(store.Entry) error) error {
	if q.Address == nil {
		q.Limit = listPage
	}
	for n := 0; ; {
		entries, err := s.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if c.Expiring > 0 && !e.Certificate.NotAfter.After(now) {
				continue
			}
			if c.Limit > 0 && n == c.Limit {
				return nil
			}
			if err := f(e); err != nil {
				return err
			}
			n++
		}
		if q.Limit == 0 || len(entries) < q.Limit {
			return nil
		}
		q.After = entries[len(entries)-1].Fingerprint[:]
	}
}

// textList prints one line each, and how many there were.
type textList struct {
	p       *page
	n       int
	verdict func(store.Entry) string
}

func (l *textList) entry(e store.Entry) error {
	l.n++
	who := strings.Join(describe.Texts(e.Addresses), ", ")
	if who == "" {
		who = pkix.SubjectString(e.Certificate)
	}
	l.p.line("%x  %-9s  %-24s  %-12s  %s  %s", e.Fingerprint[:8], e.Origin, state(e), l.verdict(e), e.Certificate.NotAfter.UTC().Format(time.DateOnly), who)
	return l.p.err
}

func (l *textList) end() error {
	l.p.line("%d certificates", l.n)
	return l.p.err
}

// state is what stands out about an entry.
func state(e store.Entry) string {
	var words []string
	for _, w := range []struct {
		yes  bool
		word string
	}{{e.HasKey, "key"}, {e.Pinned, "pinned"}, {!e.RevokedAt.IsZero(), "revoked"}, {e.Mark != store.NoMark, string(e.Mark)}} {
		if w.yes {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

// jsonList prints an array without holding it in memory.
type jsonList struct {
	a     *app
	begun bool
}

func (l *jsonList) entry(e store.Entry) error {
	text, err := marshal(describe.Entry(e))
	if err != nil {
		return err
	}
	separator := ",\n  "
	if !l.begun {
		separator = "[\n  "
	}
	l.begun = true
	_, err = fmt.Fprintf(l.a.stdout, "%s%s", separator, text)
	return err
}

func (l *jsonList) end() error {
	text := "\n]\n"
	if !l.begun {
		text = "[]\n"
	}
	_, err := fmt.Fprint(l.a.stdout, text)
	return err
}

// marshal is json.Marshal that leaves &, < and > as they are.
func marshal(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(printable.JSON(&b))
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
