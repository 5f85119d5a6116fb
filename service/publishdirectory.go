package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/publish/userentry"
	"github.com/smimerelay/smimerelay/smime/address"
)

// userEntries are where a [[publish]] to a directory writes, with connections of their own: what
// fails there keeps no lookup for mail waiting.
type userEntries struct {
	ldap   *directory.LDAP
	places userentry.Places
	clock  func() time.Time
}

// publishEntries opens the directories that are written to.
func (b *builder) publishEntries() {
	b.parts.entries = map[string]*userEntries{}
	for i, p := range b.config.Publish {
		at := slices.IndexFunc(b.config.Directory, func(d config.Directory) bool { return d.Name == p.Directory && d.Type == "ldap" })
		if p.To != config.PublishDirectory || at < 0 || b.isKnown(key("publish", i, "bind_dn")) || b.isKnown(key("publish", i, "password_file")) {
			continue
		}
		cfg := b.ldap(b.config.Directory[at])
		cfg.Confidential, cfg.Connections = true, 1
		if p.BindDN != "" {
			cfg.BindDN, cfg.PasswordFile, cfg.External = p.BindDN, p.Password, false
		}
		l, err := directory.NewLDAP(cfg)
		for _, e := range fault.Each(err) {
			b.complain(key("publish", i, "directory"), e.Error(), "") // the remedy is in it
		}
		if err == nil {
			b.parts.closers = append(b.parts.closers, l.Close)
			b.parts.entries[p.Name] = &userEntries{ldap: l, places: userentry.Places{Directory: l, Clock: b.clock}, clock: b.clock}
		}
	}
}

// openEntries finds the entries that a table writes to.
func (p *Parts) openEntries(ctx context.Context, t *config.Publish, entries iter.Seq[*publish.Entry], unsure publish.Unsure) (*userentry.Target, error) {
	u := p.entries[t.Name]
	return userentry.Open(ctx, userentry.Config{Directory: u.ldap, Attributes: t.Attributes, Signer: p.entrySigner, Clock: u.clock}, &u.places, entries, unsure)
}

// entrySigner returns the identity that signs what is written for an address: the one that
// signs its mail, unless its certificate is refused.
func (p *Parts) entrySigner(ctx context.Context, a address.Address) (*certs.Identity, error) {
	id, err := p.Keys.Signing(ctx, a)
	if id == nil || err != nil {
		return nil, err
	}
	v := p.Validator.Check(ctx, id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: id.Chain, At: p.clock()})
	if v.Result != certs.Pass && v.Result != certs.TempError {
		return nil, nil
	}
	return id, nil
}

// EntryProbe is what the account of a [[publish]] to a directory finds.
type EntryProbe struct {
	Name string
	// Address is whose entry was found; the null address if none was.
	Address address.Address
	// More are attributes of it that the account may write beside those that it is for.
	More []string
	Err  error
}

// ProbeEntries looks an entry up as each [[publish]] to a directory does, that of an address, or
// of some other that is published, and asks what its account may write. Nothing is written.
func (p *Parts) ProbeEntries(ctx context.Context, sample address.Address) []EntryProbe {
	var list []EntryProbe
	for _, t := range p.Config.Publish {
		u := p.entries[t.Name]
		if u == nil {
			continue
		}
		probe := EntryProbe{Name: t.Name}
		samples := []address.Address{sample}
		if sample.IsNull() || !p.publishes[t.Name].Match(sample) {
			samples, probe.Err = p.samples(ctx, t.Name)
		}
		if probe.Err == nil {
			probe.Address, probe.More, probe.Err = u.probe(ctx, samples, t.Attributes)
		}
		list = append(list, probe)
	}
	return list
}

// maxSamples is how many addresses are tried.
const maxSamples = 10

// samples returns some addresses whose certificates a table may publish.
func (p *Parts) samples(ctx context.Context, table string) ([]address.Address, error) {
	var list []address.Address
	err := p.eachPublished(ctx, func(c *x509.Certificate, _ []*x509.Certificate) bool {
		for _, a := range certs.Addresses(c) {
			if p.publishes[table].Match(a) {
				list = append(list, a)
			}
		}
		return len(list) < maxSamples
	})
	return list, err
}

var errSeveralEntries = errors.New("several entries have this address: none of them is written")

// probe finds the first entry, and what more than the attributes may be written of it.
func (u *userEntries) probe(ctx context.Context, samples []address.Address, attributes []string) (of address.Address, more []string, err error) {
	for _, a := range samples {
		names, err := u.ldap.EntriesOf(ctx, a)
		switch {
		case err != nil:
			return address.Null, nil, err
		case len(names) == 0:
			continue
		case len(names) > 1:
			return a, nil, fmt.Errorf("%s: %w", a, errSeveralEntries)
		}
		all, err := u.ldap.Writable(ctx, names[0])
		more = slices.DeleteFunc(all, func(name string) bool {
			return slices.ContainsFunc(attributes, func(w string) bool { return strings.EqualFold(w, name) })
		})
		slices.Sort(more)
		return a, more, err
	}
	return address.Null, nil, nil
}
