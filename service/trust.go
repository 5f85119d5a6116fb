package service

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// keys joins our identities: those in the store, in files and in tokens.
func (b *builder) keys() {
	b.parts.files = b.fileKeys().WithLocalPart(b.localPart())
	b.openTokens()
	stored := token.InTokens(timedKeys{b.parts.store.Keys(), b.parts.store}, b.parts.tokens...)
	all := []certs.Keys{stored, b.parts.files}
	for _, t := range b.parts.tokens {
		all = append(all, t)
	}
	b.parts.Keys = certs.Join(all...)
	if overlap := b.config.Identities.DecryptAfterExpiry; overlap > 0 {
		b.parts.Keys = certs.WithOverlap(b.parts.Keys, overlap, b.clock)
	}
}

func (b *builder) fileKeys() *certs.FileKeys {
	ids := b.config.Identities
	if ids.Path == "" || b.isKnown("identities.path") || b.isKnown("identities.password_file") {
		return certs.NewKeys(b.clock)
	}
	keys, err := file.OpenIdentities(ids.Path, ids.PasswordFile, b.clock)
	if err != nil {
		for _, e := range fault.Each(err) {
			remedy := ""
			if errors.Is(e, file.ErrWrongPassword) {
				remedy = "put the right one into NAME.password next to the file, or into the file of identities.password_file"
			}
			b.complain("identities.path", e.Error(), remedy)
		}
		return certs.NewKeys(b.clock)
	}
	return keys
}

// isKnown reports whether a key has been set already.
func (b *builder) isKnown(key string) bool {
	return slices.ContainsFunc(b.known, func(p config.Problem) bool { return strings.HasPrefix(p.Key, key) })
}

// validator makes what judges certificates: by what the configuration says, and
// by what was said in the store since.
func (b *builder) validator() {
	t := b.config.Trust
	b.parts.trusted = b.storedTrust()
	tables, modes := b.anchorTables()
	public, distrust := b.publicRoots()
	anchors := slices.Concat(b.certificates("trust.anchors", t.Anchors), tables, b.parts.trusted.anchors(), public)
	for _, c := range anchors[:len(anchors)-len(public)] {
		delete(distrust, sha256.Sum256(c.Raw)) // what is named here is trusted without a limit
	}
	b.parts.Anchors, b.anchors = len(anchors), anchors
	v, err := path.NewValidator(path.Config{
		Anchors: anchors, AnchorRevocation: modes, DistrustAfter: distrust,
		Intermediates: slices.Concat(b.certificates("trust.intermediates", t.Intermediates), b.parts.trusted.allowed, b.parts.trusted.below()),
		Exceptions:    append(b.exceptions(), b.parts.trusted.exceptions...),
		Lists:         b.lists(),
		CRLs:          b.parts.trusted.crls,
		Fetcher:       b.fetcher(),
		ParseIssuers:  parseIssuers(t),
		Revocation:    certs.RevocationMode(t.Revocation),
		LocalPart:     b.localPart(),
		RequirePolicy: len(t.Policies) > 0,
		Policies:      b.policies(),
		AllowSHA1:     t.AllowSHA1,
		AllowRSA1024:  t.AllowRSA1024,
		Clock:         b.clock,
	})
	if err != nil && !b.isKnown("trust") {
		b.complain("trust", err.Error(), "")
	}
	b.parts.Validator = v
}

// parseIssuers reads what a certificate names as that of its issuer; nil if the
// configuration does not want that fetched.
func parseIssuers(t config.Trust) func([]byte) ([]*x509.Certificate, error) {
	if !t.FetchIntermediates {
		return nil
	}
	return file.ParseCertificates
}

// anchorTables reads the anchors that have tables, and their own revocation modes.
func (b *builder) anchorTables() ([]*x509.Certificate, map[[sha256.Size]byte]certs.RevocationMode) {
	var all []*x509.Certificate
	modes := map[[sha256.Size]byte]certs.RevocationMode{}
	for i, a := range b.config.Trust.Anchor {
		at := key("trust.anchor", i, "path")
		found := b.file(at, a.Path)
		all = append(all, found...)
		if a.Revocation == "" {
			continue
		}
		mode := certs.RevocationMode(a.Revocation)
		for _, c := range found {
			sum := sha256.Sum256(c.Raw)
			if before, ok := modes[sum]; ok && before != mode {
				b.complain(at, fmt.Sprintf("the trust anchor %q has revocation %q in one table and %q in another", pkix.SubjectString(c), before, mode), "name it in one of them")
			}
			modes[sum] = mode
		}
	}
	return all, modes
}

// policies reads the certificate policies that paths must have.
func (b *builder) policies() []x509.OID {
	policies, err := path.ParsePolicies(b.config.Trust.Policies)
	if err != nil {
		b.complain("trust.policies", err.Error(), "write object identifiers such as 1.3.6.1.4.1.99999.1")
	}
	return policies
}

// lists opens the revocation lists; large ones stay on disk.
func (b *builder) lists() []*revocation.List {
	var all []*revocation.List
	for i, path := range b.config.Trust.CRLs {
		found := read(b, fmt.Sprintf("trust.crls[%d]", i), path, func(p string) ([]*revocation.List, error) {
			found, err := file.OpenLists(p, "")
			return found, b.skip(fmt.Sprintf("trust.crls[%d]", i), err)
		})
		for _, l := range found {
			b.parts.closers = append(b.parts.closers, l.Close)
			b.parts.lists = append(b.parts.lists, namedList{fmt.Sprintf("trust.crls[%d]", i), path, l})
		}
		all = append(all, found...)
	}
	return all
}

// fetcher makes what asks revocation services; nil when none is to be asked.
func (b *builder) fetcher() *revocation.Fetcher {
	t := b.config.Trust
	if !t.Fetch || b.isKnown("trust.fetch") {
		return nil
	}
	f, err := revocation.NewFetcher(revocation.FetchConfig{
		Timeout: t.FetchTimeout, Allowed: networks(t.FetchNetworks), Cache: t.FetchCache, Stale: t.RevocationGrace, Clock: b.clock,
	})
	if err != nil {
		b.complain("trust.fetch_cache", err.Error(), "name a folder that can be written")
		return nil
	}
	b.parts.closers = append(b.parts.closers, func() error { f.Close(); return nil })
	b.parts.fetcher = f
	return f
}

// exceptions translates what the configuration has checked.
func (b *builder) exceptions() []path.Exception {
	var all []path.Exception
	for _, e := range b.config.Exceptions {
		sum, err := e.Fingerprint()
		until, err2 := e.End()
		if err == nil && err2 == nil {
			all = append(all, path.Exception{SHA256: sum, Allow: e.Action == "allow", Note: e.Note, Until: until})
		}
	}
	return all
}

// certificates reads files of certificates. One that cannot be read is no reason to
// do without the others, or not to start: it is logged, counted, and a warning.
func (b *builder) certificates(key string, paths []string) []*x509.Certificate {
	var all []*x509.Certificate
	for i, path := range paths {
		all = append(all, b.file(fmt.Sprintf("%s[%d]", key, i), path)...)
	}
	return all
}

// file reads one file, or one folder.
func (b *builder) file(key, path string) []*x509.Certificate {
	return read(b, key, path, func(path string) ([]*x509.Certificate, error) {
		found, err := file.ReadCertificates(path)
		return found, b.skip(key, err)
	})
}

// skip reports what was passed over in a file, and returns what else is wrong with it.
func (b *builder) skip(key string, err error) error {
	skipped, err := file.Skipped(err)
	for _, s := range skipped {
		what, remedy := "certificate skipped", "remove it from the file, or replace it with a well-formed one"
		if s.List {
			what, remedy = "revocation list skipped", "what it covers has no revocation information; have its issuer sign it in another way, or remove it from the file"
		}
		b.log.Warn(what, "key", key, "file", s.File, "number", s.Number, "error", s.Err)
		b.parts.skipped = append(b.parts.skipped, b.config.Problem(key, s.Error(), remedy))
	}
	return err
}

// read reads a file, unless it is known that it can not be.
func read[T any](b *builder, key, path string, from func(string) ([]T, error)) []T {
	if b.isKnown(key) {
		return nil
	}
	found, err := from(path)
	for _, e := range fault.Each(err) {
		remedy := ""
		if !strings.Contains(e.Error(), "; ") {
			remedy = "use certificates or CRLs in PEM or DER, or a .p7b or .sst file; a PKCS #12 file belongs to [identities]"
		}
		b.complain(key, e.Error(), remedy)
	}
	return found
}
