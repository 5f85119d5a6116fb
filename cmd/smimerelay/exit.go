package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
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
	if isJoined(err) {
		text = strings.ReplaceAll(text, "\n", ", and ")
	}
	if remedy := remedyOf(err); remedy != "" && !strings.Contains(text, "; ") {
		text += "; " + remedy
	}
	a.say("%s", text)
	return status
}

// remedyOf says what to do about errors of files and databases, which come up in many places.
func remedyOf(err error) string {
	if remedy := postgresdb.Remedy(err); remedy != "" && !isPath(err) {
		return remedy
	}
	switch {
	case errors.Is(err, syscall.EAGAIN): // a lock
		return "stop the gateway, and other commands that have it open, first: systemctl stop smimerelay"
	case isPath(err):
		return "check the path and which user you are"
	}
	return ""
}

func isPath(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok
}

// isJoined reports whether an error has several in it, which errors.Join puts on lines of their
// own: a message is one line.
func isJoined(err error) bool {
	for err != nil {
		if _, ok := err.(interface{ Unwrap() []error }); ok {
			return true
		}
		err = errors.Unwrap(err)
	}
	return false
}
