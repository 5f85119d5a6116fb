package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// Unable is what a client reads of an error of the gateway itself.
const Unable = "the gateway could not do this; its log says why"

// problem translates an error into one that says what the client may know (RFC 9457). What
// is not known here is logged.
func (o *Operations) problem(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[huma.StatusError](err); ok {
		return err
	}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		var details []error
		for _, p := range ps {
			details = append(details, errors.New(p.String()))
		}
		return huma.Error422UnprocessableEntity(badConfiguration, details...)
	}
	if r, ok := errors.AsType[Refused](err); ok {
		return huma.Error409Conflict(r.Error())
	}
	switch {
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, store.ErrNotFound), errors.Is(err, access.ErrNoUser):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, store.ErrNoKey), errors.Is(err, store.ErrLastKey), errors.Is(err, store.ErrBlocked), errors.Is(err, access.ErrExists):
		return huma.Error409Conflict(err.Error())
	case ctx.Err() != nil:
		return huma.Error503ServiceUnavailable(tooLong)
	}
	o.Log.Error("console: request failed", "error", err)
	return huma.Error500InternalServerError(Unable)
}

// Status is the status code of an error that an operation returned, and what the client may
// read of it; known is false for an error of another kind, which it must not read.
func Status(err error) (code int, text string, details []string, known bool) {
	if e, ok := errors.AsType[*huma.ErrorModel](err); ok {
		for _, d := range e.Errors {
			details = append(details, d.Message)
		}
		return e.Status, e.Detail, details, true
	}
	return http.StatusInternalServerError, Unable, nil, false
}

// WriteProblem answers with an error (RFC 9457).
func WriteProblem(w http.ResponseWriter, code int, text string) error {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	return json.NewEncoder(w).Encode(huma.NewError(code, text))
}

// audited does something after it was recorded: without an entry in the audit log nothing
// is changed. A failure is a second entry.
func (o *Operations) audited(ctx context.Context, e access.Entry, do func() error) error {
	e.Actor = actor(ctx)
	if strings.ContainsRune(e.Reason, 0) { // which PostgreSQL does not take
		return huma.Error422UnprocessableEntity("the reason has a NUL in it")
	}
	if err := o.Access.Record(ctx, e); err != nil {
		o.Log.Error("console: the audit log cannot be written; nothing is changed", "error", err)
		return huma.Error503ServiceUnavailable(notAudited)
	}
	err := o.problem(ctx, do())
	if err == nil {
		return nil
	}
	_, e.Failed, _, _ = Status(err)
	if recordErr := o.Access.Record(context.WithoutCancel(ctx), e); recordErr != nil {
		o.Log.Error("console: the audit log cannot be written", "error", recordErr)
	}
	return err
}
