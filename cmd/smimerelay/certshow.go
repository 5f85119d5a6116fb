package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certShowCmd struct {
	storeFlags
	JSON bool   `name:"json" help:"Print an array as JSON."`
	What string `arg:"" name:"certificate" help:"SHA-256 fingerprint of a certificate in the store, or the start of it; an address, for all of its certificates in the store; or a file."`
}

// Help is shown below the summary.
func (certShowCmd) Help() string {
	return `Shows a certificate in detail: addresses, dates, key, what it can be used for now and why not, its chain, its revocation status, its origin, its trust override, and who imported, issued, revoked, allowed, blocked or pinned it. It is checked as the gateway does, with the trust anchors of the configuration. With --store only the contents of the store are used, and nothing is fetched.`
}

func (certShowCmd) examples() string {
	return `smimerelay cert show 3f2a91c07d
		smimerelay cert show bob@example.net
		smimerelay cert show --json ./bob.pem | jq '.[0].encryption'`
}

// Run judges and prints.
func (c *certShowCmd) Run(a *app) error {
	if c.Store != "" {
		return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
			checker, err := service.StoreChecker(ctx, s, address.IgnoreCase, a.clock)
			if err != nil {
				return err
			}
			return c.show(ctx, a, s, checker)
		})
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	return c.show(background(), a, parts.Store(), parts.Validator)
}

func (c *certShowCmd) show(ctx context.Context, a *app, s *store.Store, checker certs.Checker) error {
	list, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Judge(ctx, checker, "")
		if list[i].Entry == nil {
			continue
		}
		if list[i].Actions, err = s.Actions(ctx, list[i].Entry.Fingerprint); err != nil {
			return err
		}
	}
	if c.JSON {
		out := make([]describe.Certificate, len(list))
		for i := range list {
			out[i] = list[i].Describe()
		}
		return a.printJSON(out)
	}
	p := a.page()
	for i := range list {
		if i > 0 {
			p.line("")
		}
		p.certificate(&list[i], a.clock())
	}
	return p.err
}

// find returns what the argument names: at least one.
func (c *certShowCmd) find(ctx context.Context, s *store.Store) ([]describe.Found, error) {
	if addr, err := address.Parse(c.What); err == nil {
		return findAddress(ctx, s, addr)
	}
	if isFingerprint(c.What) {
		e, err := pick(ctx, s, c.What)
		return []describe.Found{{Certificate: e.Certificate, Chain: e.Chain, Entry: &e}}, err
	}
	list, err := file.ReadCertificates(c.What)
	if err != nil {
		return nil, noFile(c.What, err, "use a fingerprint, an address, or a file with certificates")
	}
	return findFile(ctx, s, list)
}

func findAddress(ctx context.Context, s *store.Store, addr address.Address) ([]describe.Found, error) {
	entries, err := s.Find(ctx, store.Query{Address: &addr, Chain: true})
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, negative(fmt.Errorf("%s: no certificate for this address in the store; use smimerelay cert lookup to query the directories as well", addr))
	}
	var list []describe.Found
	for i, e := range entries {
		list = append(list, describe.Found{Certificate: e.Certificate, Chain: e.Chain, Entry: &entries[i]})
	}
	return list, nil
}

// findFile shows the first certificate of a file; the others help to build its
// chain.
func findFile(ctx context.Context, s *store.Store, list []*x509.Certificate) ([]describe.Found, error) {
	found := describe.Found{Certificate: list[0], Chain: list[1:]}
	e, err := pick(ctx, s, fmt.Sprintf("%x", sha256.Sum256(list[0].Raw)))
	switch {
	case err == nil:
		found.Entry = &e
		found.Chain = append(found.Chain, e.Chain...)
	case !errors.Is(err, errNotInStore):
		return nil, err
	}
	return []describe.Found{found}, nil
}

// used says in a few words whether a certificate serves for a purpose.
func used(v certs.Verdict) string {
	if v.Result == certs.Pass {
		return "yes"
	}
	text := "no: " + string(v.Reason)
	if v.Result == certs.TempError {
		text = "not known: " + string(v.Reason)
	}
	if v.Detail != "" {
		text += ": " + v.Detail
	}
	return strings.TrimSpace(text)
}
