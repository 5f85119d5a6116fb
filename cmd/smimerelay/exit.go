package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// Exit statuses. 78 is EX_CONFIG of sysexits.h.
const (
	exitDone      = 0
	exitNegative  = 1
	exitUnusable  = 2
	exitUnsigned  = 3
	exitBadConfig = 78
)

// statusError is an error with the exit status that it ends the program with. A
// nil cause is a status without a message: the result on standard output says
// it all.
type statusError struct {
	status int
	cause  error
}

func (e *statusError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.cause.Error()
}

func (e *statusError) Unwrap() error { return e.cause }

// negative is an answer of no.
func negative(cause error) error { return &statusError{exitNegative, cause} }

// unusable means that the call or the input could not be used.
func unusable(cause error) error { return &statusError{exitUnusable, cause} }

// fail writes err to standard error and returns the exit status that it asks
// for: 2 unless it was set otherwise.
func (a *app) fail(err error) int {
	if err == nil {
		return exitDone
	}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		out := page{w: a.stderr}
		for _, p := range ps {
			out.line("%s", p)
		}
		return exitBadConfig
	}
	status := exitUnusable
	if e, ok := errors.AsType[*statusError](err); ok {
		status = e.status
		if e.cause == nil {
			return status
		}
	}
	text := err.Error()
	if _, ok := errors.AsType[*fs.PathError](err); ok && !strings.Contains(text, "; ") {
		text += "; check the path and which user you are"
	}
	a.say("%s", text)
	return status
}
