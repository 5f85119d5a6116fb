package service

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/config"
)

func (b *builder) keys() {
	ids := b.config.Identities
	if ids.Path == "" || b.isKnown("identities.path") || b.isKnown("identities.password_file") {
		b.parts.Keys = certs.NewKeys(b.clock)
		return
	}
	keys, err := certs.OpenIdentities(ids.Path, ids.PasswordFile, b.clock)
	for _, e := range each(err) {
		b.complain("identities.path", e.Error(), "")
	}
	b.parts.Keys = keys
}

// isKnown reports whether something has been said of a key already.
func (b *builder) isKnown(key string) bool {
	return slices.ContainsFunc(b.known, func(p config.Problem) bool { return strings.HasPrefix(p.Key, key) })
}

func (b *builder) validator() {
	t := b.config.Trust
	var crls [][]byte
	for i, path := range t.CRLs {
		crls = append(crls, read(b, fmt.Sprintf("trust.crls[%d]", i), path, certs.ReadCRLs)...)
	}
	anchors := b.certificates("trust.anchors", t.Anchors)
	b.parts.Anchors = len(anchors)
	v, err := certs.NewValidator(certs.ValidatorConfig{
		Anchors:       anchors,
		Intermediates: b.certificates("trust.intermediates", t.Intermediates),
		CRLs:          crls,
		Revocation:    certs.RevocationMode(t.Revocation),
		LocalPart:     b.localPart(),
		Clock:         b.clock,
	})
	if err != nil && !b.isKnown("trust") {
		b.complain("trust", err.Error(), "")
	}
	b.parts.Validator = v
}

func (b *builder) certificates(key string, paths []string) []*x509.Certificate {
	var all []*x509.Certificate
	for i, path := range paths {
		all = append(all, read(b, fmt.Sprintf("%s[%d]", key, i), path, certs.ReadCertificates)...)
	}
	return all
}

// read reads a file, unless it is known that it can not be.
func read[T any](b *builder, key, path string, from func(string) ([]T, error)) []T {
	if b.isKnown(key) {
		return nil
	}
	found, err := from(path)
	for _, e := range each(err) {
		b.complain(key, e.Error(), "")
	}
	return found
}

func (b *builder) directory(log *slog.Logger) {
	l := b.config.Lookup
	dc := directory.Config{
		Checker: b.parts.Validator, Positive: orNever(l.Positive), Negative: orNever(l.Negative), StaleIfError: l.Stale,
		Entries: l.Entries, Timeout: l.Timeout, LocalPart: b.localPart(), Clock: b.clock, Log: log,
	}
	for i, d := range b.config.Directory {
		if b.isKnown(fmt.Sprintf("directory[%d]", i)) {
			continue
		}
		source, err := b.source(d)
		for _, e := range each(err) {
			b.complain(fmt.Sprintf("directory[%d]", i), e.Error(), "")
		}
		if err == nil && source != nil {
			dc.Sources = append(dc.Sources, directory.SourceConfig{Source: source, Domains: d.Domains, Merge: d.Merge})
		}
	}
	b.parts.Directory = directory.New(dc)
}

// orNever translates a configured 0, which package directory writes below zero.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// source makes a source of certificates; nil for one that is off.
func (b *builder) source(d config.Directory) (certs.Source, error) {
	switch d.Type {
	case "files":
		return directory.NewFiles(d.Name, d.Path)
	case "ldap":
		return directory.NewLDAP(directory.LDAPConfig{
			Name: d.Name, URLs: d.URLs, BindDN: d.BindDN, PasswordFile: d.PasswordFile, External: d.External,
			Base: d.Base, Filter: d.Filter, Attributes: d.Attributes, StartTLS: d.StartTLS, CA: d.CA,
			ClientCertificate: d.ClientCert, ClientKey: d.ClientKey,
			Timeout: d.Timeout, Connections: d.Connections, Clock: b.clock,
		})
	case "https":
		return directory.NewHTTPS(directory.HTTPSConfig{
			Name: d.Name, URL: d.URL, CA: d.CA, ClientCertificate: d.ClientCert, ClientKey: d.ClientKey,
			TokenFile: d.TokenFile, Timeout: d.Timeout,
		})
	case "smimea":
		return directory.NewSMIMEA(directory.SMIMEAConfig{
			Name: d.Name, Resolver: d.Resolver, CA: d.CA, Timeout: d.Timeout, Clock: b.clock,
		})
	}
	return nil, nil
}
