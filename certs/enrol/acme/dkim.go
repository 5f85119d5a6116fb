package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// maxSignatures bounds the DKIM signatures that are verified.
const maxSignatures = 5

const (
	signatureField = "DKIM-Signature"
	resultsField   = "Authentication-Results"
)

// authentic returns nil where it is certain that a message was written by its author (RFC
// 8823 section 3.1): by S/MIME, by a server that is trusted to have verified DKIM, or by
// DKIM. A fault of kind Unavailable means that it is not known.
func (rp *Responder) authentic(ctx context.Context, m *Mail, from address.Address, servers []string) error {
	if !m.Signer.IsNull() && m.Signer.Equal(from, address.IgnoreCase) {
		return nil
	}
	domain := from.Domain()
	if slices.ContainsFunc(m.Message.All(resultsField), func(v string) bool { return passes(v, servers, domain) }) {
		return allCover(m.Message, domain)
	}
	return rp.verify(ctx, m.Message, domain)
}

// allCover wants each DKIM signature of a domain to cover what it must: which of them the
// server found good is not known for sure.
func allCover(m *message.Message, domain string) error {
	found := false
	for _, value := range m.All(signatureField) {
		tags := tagsOf(value)
		if !strings.EqualFold(tags["d"], domain) {
			continue
		}
		found = true
		// With l= others may have added to the text (RFC 6376 section 8.2): package dkim refuses it too.
		if _, ok := tags["l"]; ok {
			return fmt.Errorf("a DKIM signature of %s covers only a part of the text", domain)
		}
		if name := uncovered(m, strings.Split(tags["h"], ":")); name != "" {
			return fmt.Errorf("a DKIM signature of %s does not cover %s", domain, name)
		}
	}
	if !found {
		return fmt.Errorf("there is no DKIM signature of %s", domain)
	}
	return nil
}

// tagsOf reads a tag list (RFC 6376 section 3.2), without white space.
func tagsOf(value string) map[string]string {
	tags := make(map[string]string)
	for part := range strings.SplitSeq(value, ";") {
		name, text, _ := strings.Cut(part, "=")
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(text), "")
	}
	return tags
}

// uncovered is the first field of the message that a signature over the named ones lacks; ""
// where it lacks none.
func uncovered(m *message.Message, names []string) string {
	for _, c := range covered {
		if m.Has(c) && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), c) }) {
			return c
		}
	}
	return ""
}

// verify verifies the DKIM signatures of a message (RFC 6376), and wants one of the domain.
func (rp *Responder) verify(ctx context.Context, m *message.Message, domain string) error {
	if !m.Has(signatureField) {
		return errors.New("it is not signed, by DKIM or S/MIME")
	}
	list, err := dkim.VerifyWithOptions(bytes.NewReader(m.Bytes()), &dkim.VerifyOptions{
		MaxVerifications: maxSignatures,
		LookupTXT: func(name string) ([]string, error) {
			texts, err := rp.TXT(ctx, name)
			if err != nil {
				return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: !errors.Is(err, rp.NoName)}
			}
			return texts, nil
		},
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return fmt.Errorf("DKIM: %w", err)
	}
	problem := fmt.Errorf("there is no DKIM signature of %s", domain)
	for _, v := range list {
		switch {
		case !strings.EqualFold(v.Domain, domain):
			continue
		case dkim.IsTempFail(v.Err):
			problem = fault.New(fault.Unavailable, "the DKIM key of the author cannot be had now, try again later", v.Err)
		case v.Err != nil:
			problem = fmt.Errorf("DKIM signature of %s: %w", domain, v.Err)
		default:
			name := uncovered(m, v.HeaderKeys)
			if name == "" {
				return nil
			}
			problem = fmt.Errorf("the DKIM signature of %s does not cover %s", domain, name)
		}
	}
	return problem
}
