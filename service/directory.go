package service

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
)

func (b *builder) directory() {
	l := b.config.Lookup
	dc := directory.Config{
		Checker: b.parts.Validator, Capabilities: b.parts.store, Positive: orNever(l.Positive), Negative: orNever(l.Negative), StaleIfError: l.Stale,
		Entries: l.Entries, Timeout: l.Timeout, LocalPart: b.localPart(), Delimiters: b.config.Delimiter, Clock: b.clock, Log: b.log,
	}
	dc.Sources = b.agreed()
	if !slices.ContainsFunc(b.config.Directory, isStored) {
		dc.Sources = append(dc.Sources,
			directory.SourceConfig{Source: b.stored("store", typeStore)},
			directory.SourceConfig{Source: b.stored("harvested", typeHarvested)})
	}
	for i, d := range b.config.Directory {
		if b.isKnown(fmt.Sprintf("directory[%d]", i)) {
			continue
		}
		source, err := b.source(d)
		for _, e := range fault.Each(err) {
			b.wrongSource(fmt.Sprintf("directory[%d]", i), e)
		}
		if files, ok := source.(*directory.Files); ok && files != nil {
			b.unreadable(key("directory", i, "path"), files)
		}
		if err == nil && source != nil {
			dc.Sources = append(dc.Sources, directory.SourceConfig{Source: source, Domains: d.Domains, Merge: d.Merge})
		}
	}
	b.parts.Directory = directory.New(dc)
}

// wrongSource reports an error of a source at the option that it is about.
func (b *builder) wrongSource(key string, err error) {
	e, ok := errors.AsType[*directory.OptionError](err)
	if !ok {
		b.complainOf(key, err.Error(), "correct it; docs/directories.md has examples")
		return
	}
	key += "." + e.Option
	if e.Index >= 0 {
		key += fmt.Sprintf("[%d]", e.Index)
	}
	b.complain(key, e.Cause.Error(), e.Remedy)
}

// unreadable reports the files of which a key is the place that could not be read: the
// certificates in them are missing, and nothing else would say so.
func (b *builder) unreadable(key string, files *directory.Files) {
	for _, problem := range files.Problems() {
		b.parts.skipped = append(b.parts.skipped, b.config.Problem(key, problem.Error(), "its certificates are not used; fix or remove it"))
	}
}

// The types of the directories that are in our own store.
const (
	typeStore     = "store"
	typeHarvested = "harvested"
)

func isStored(d config.Directory) bool { return d.Type == typeStore || d.Type == typeHarvested }

// stored is the source of certificates that were imported into the store or
// by us, or of those that came with inbound mail.
func (b *builder) stored(name, kind string) directory.Source {
	if kind == typeHarvested {
		return directory.NewStored(name, b.parts.store.Store, store.Harvested, store.FromDirectory)
	}
	return directory.NewStored(name, b.parts.store.Store, store.Imported, store.Issued)
}

// orNever translates a configured 0, which package directory writes below zero.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// source makes a source of certificates; nil for one that is off.
func (b *builder) source(d config.Directory) (directory.Source, error) {
	switch d.Type {
	case typeStore, typeHarvested:
		return b.stored(d.Name, d.Type), nil
	case "files":
		return directory.NewFiles(d.Name, d.Path)
	case "ldap":
		return directory.NewLDAP(b.ldap(d))
	case "https":
		return directory.NewHTTPS(directory.HTTPSConfig{
			Name: d.Name, URL: d.URL, CA: d.CA, ClientCertificate: d.ClientCert, ClientKey: d.ClientKey,
			TokenFile: d.TokenFile, Timeout: d.Timeout, Clock: b.clock,
		})
	case "ldap-srv":
		return directory.NewDomainLDAP(directory.DomainLDAPConfig{
			Name: d.Name, DNS: b.lookup(), Attributes: d.Attributes, Allowed: networks(b.config.Trust.FetchNetworks), Timeout: d.Timeout,
		})
	case "dns-cert":
		return directory.NewCERT(d.Name, b.lookup()), nil
	case "smimea":
		return directory.NewSMIMEA(directory.SMIMEAConfig{
			Name: d.Name, Resolver: d.Resolver, CA: d.CA, Timeout: d.Timeout, Clock: b.clock,
		})
	}
	return nil, nil
}

// ldap describes the servers of a table.
func (b *builder) ldap(d config.Directory) directory.LDAPConfig {
	return directory.LDAPConfig{
		Name: d.Name, URLs: d.URLs, BindDN: d.BindDN, PasswordFile: d.PasswordFile, External: d.SASLExternal,
		Base: d.Base, Filter: d.Filter, Attributes: d.Attributes, StartTLS: d.StartTLS, CA: d.CA,
		ClientCertificate: d.ClientCert, ClientKey: d.ClientKey,
		Timeout: d.Timeout, Connections: d.Connections, Clock: b.clock,
		Members: d.GroupMembers, Depth: d.GroupDepth, Nested: d.NestedGroups,
		UserFilter: d.UserFilter, UserAttributes: d.UserAddresses, Aliases: d.Aliases,
	}
}
