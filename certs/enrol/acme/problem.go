package acme

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/mholt/acmez/v3/acme"

	"github.com/smimerelay/smimerelay/certs/enrol"
)

// final are the problems that another attempt will not mend. What is wrong with the account
// is mended here, and is not among them.
var final = []string{
	acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier, acme.ProblemTypeBadCSR,
	acme.ProblemTypeBadPublicKey, acme.ProblemTypeCAA,
}

// isProblem reports whether an error is a problem of a type (RFC 8555 section 6.7).
func isProblem(err error, kind string) bool {
	problem, ok := errors.AsType[acme.Problem](err)
	return ok && problem.Type == kind
}

// judged tells refusals of the server from what may be mended.
func (p *Provider) judged(err error) error {
	if err == nil {
		return nil
	}
	if refused := new(enrol.Refusal); errors.As(err, &refused) {
		return err
	}
	problem, ok := errors.AsType[acme.Problem](err)
	if !ok {
		return err
	}
	if problem.Type == acme.ProblemTypeAccountDoesNotExist {
		p.forget()
	}
	err = fmt.Errorf("ACME server: %s", said(&problem))
	if slices.Contains(final, problem.Type) {
		return &enrol.Refusal{Cause: err}
	}
	return err
}

// said is a problem in one line, with those that it is made of.
func said(p *acme.Problem) string {
	if p == nil {
		return "no reason was given"
	}
	text := p.Type
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, sub := range p.Subproblems {
		text += "; " + sub.Type + ": " + sub.Detail
	}
	return text
}

// gone reports whether the server no longer knows what it was asked for.
func gone(err error) bool {
	problem, ok := errors.AsType[acme.Problem](err)
	return ok && (problem.Status == http.StatusNotFound || problem.Status == http.StatusGone)
}
