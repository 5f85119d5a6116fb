package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Limits of what is asked for one certificate.
const (
	maxResponders = 2
	maxAddresses  = 4
)

// Online asks the services that a certificate names: OCSP first, then, where
// that gives no answer, for revocation lists, which are added to known. The
// certificate must be on a chain that leads to a trust anchor.
func (f *Fetcher) Online(ctx context.Context, q Question, issuer *x509.Certificate, known *Lists, allowSHA1 bool) Answer {
	answer := Answer{Text: "it names no revocation service"}
	for _, address := range webAddresses(q.Cert.OCSPServer, maxResponders) {
		if answer = f.respond(ctx, address, q, issuer, known, allowSHA1); answer.Status != Unknown {
			return answer
		}
	}
	lists, err := f.fetchLists(ctx, q)
	if len(lists) == 0 {
		if err != nil {
			answer.Text = err.Error()
		}
		return answer
	}
	status := known.with(lists).Status(q)
	if status.Status == Unknown && f.cfg.Stale > 0 {
		q.Stale = f.cfg.Stale
		status = known.with(lists).Status(q)
	}
	return status
}

// webAddresses returns the first n addresses that can be fetched.
func webAddresses(list []string, n int) []string {
	var web []string
	for _, a := range list {
		scheme, _, _ := strings.Cut(a, ":")
		if strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https") {
			web = append(web, a)
		}
	}
	return web[:min(n, len(web))]
}

func (f *Fetcher) respond(ctx context.Context, address string, q Question, issuer *x509.Certificate, known *Lists, allowSHA1 bool) Answer {
	key := fmt.Sprintf("%x %x %s", sha256.Sum256(q.Cert.Raw), sha256.Sum256(issuer.RawSubjectPublicKeyInfo), address)
	r, stale, err := f.responses.get(ctx, key, func(ctx context.Context, kept bool) (*response, time.Time, error) {
		r, err := f.ask(ctx, address, key, kept, q.Cert, issuer, allowSHA1)
		if err != nil {
			return nil, time.Time{}, err
		}
		return r, r.ends(f.cfg.Clock()), nil
	})
	window := time.Duration(0)
	if stale {
		window = f.cfg.Stale
	}
	if err != nil && (!stale || window == 0) {
		return Answer{Text: "OCSP: " + err.Error()}
	}
	if text := r.current(q.At, window); text != "" {
		return Answer{Text: text}
	}
	answer := Answer{Status: r.status, Text: r.text, NextUpdate: r.ends(q.At)}
	if r.responder == nil {
		return answer
	}
	return f.checkedResponder(ctx, answer, r.responder, q, known)
}

// fetchLists returns the verified lists that the certificate points to, delta
// lists among them, and why one is missing.
func (f *Fetcher) fetchLists(ctx context.Context, q Question) ([]*List, error) {
	points, _ := readPoints(q.Cert)
	var addresses []string
	for _, p := range points {
		addresses = append(addresses, webAddresses(p.urls, maxAddresses)...)
	}
	addresses = append(addresses[:min(len(addresses), maxAddresses)], freshest(q.Cert)...)
	var lists []*List
	var last error
	for _, a := range addresses {
		l, err := f.list(ctx, a)
		if l != nil && !q.Verify(l) {
			err = fmt.Errorf("GET %q: the CRL is not signed by an authorized issuer", a)
			f.lists.reject(a, err)
			f.disk.remove(a)
			l = nil
		}
		if l != nil && !slices.Contains(lists, l) {
			lists = append(lists, l)
		}
		if err != nil {
			last = err
		}
	}
	return lists, last
}

// list returns the list at an address; with an error too, if there is an old one.
func (f *Fetcher) list(ctx context.Context, address string) (*List, error) {
	l, _, err := f.lists.get(ctx, address, func(ctx context.Context, kept bool) (*List, time.Time, error) {
		if kept {
			if l := f.keptList(address); l != nil {
				return l, l.NextUpdate, nil
			}
		}
		var l *List
		err := f.do(ctx, http.MethodGet, address, "", nil, f.cfg.MaxList, func(body io.Reader) (err error) {
			body, keep, done := f.disk.tee(address, body)
			defer done()
			if l, err = f.readList(body); err == nil {
				keep()
			}
			return err
		})
		if err != nil {
			return nil, time.Time{}, err
		}
		return l, l.NextUpdate, nil
	})
	return l, err
}

// readList reads a list that counts now.
func (f *Fetcher) readList(r io.Reader) (*List, error) {
	l, err := ReadList(r, f.folder())
	if err != nil {
		return nil, err
	}
	if text := l.current(f.cfg.Clock(), 0); text != "" {
		return nil, errors.New(text)
	}
	return l, nil
}

// keptList reads a list from disk, nil if there is none that counts.
func (f *Fetcher) keptList(address string) *List {
	r := f.disk.open(address)
	if r == nil {
		return nil
	}
	defer r.Close()
	l, err := f.readList(r)
	if err != nil {
		return nil
	}
	return l
}

// Issuers fetches the certificates of who has issued cert from the addresses that
// it names (RFC 5280 section 4.2.2.1). Unlike all else here this serves chains
// that do not reach an anchor yet: only call it where that is configured.
func (f *Fetcher) Issuers(ctx context.Context, cert *x509.Certificate, parse func([]byte) ([]*x509.Certificate, error)) []*x509.Certificate {
	for _, address := range webAddresses(cert.IssuingCertificateURL, maxResponders) {
		data, _, err := f.issuers.get(ctx, address, func(ctx context.Context, _ bool) ([]byte, time.Time, error) {
			data, err := f.small(ctx, http.MethodGet, address, "", nil)
			return data, f.cfg.Clock().Add(24 * time.Hour), err
		})
		if err != nil {
			continue
		}
		if list, _ := parse(data); len(list) > 0 {
			return slices.DeleteFunc(list, func(c *x509.Certificate) bool { return !pkix.SameName(c.RawSubject, cert.RawIssuer) })
		}
	}
	return nil
}
