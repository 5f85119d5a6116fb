package store

import "strings"

// failure is an error in one line: that of a PostgreSQL server that can not be
// reached has several.
type failure struct {
	where string
	cause error
}

func failed(cause error) error { return &failure{"store", cause} }

func (f *failure) Error() string {
	return f.where + ": " + strings.Join(strings.Fields(f.cause.Error()), " ")
}

func (f *failure) Unwrap() error { return f.cause }
