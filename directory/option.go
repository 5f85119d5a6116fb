package directory

import "fmt"

// OptionError is an error of one option of a source.
type OptionError struct {
	// Option is its name in the configuration, such as "urls". Index is the item of a list
	// that is meant, -1 for the option as a whole.
	Option string
	Index  int
	Cause  error
	// Remedy is what to do about it.
	Remedy string
}

// Error has the remedy, too: not all who report it have a place of their own for it.
func (e *OptionError) Error() string { return fmt.Sprintf("%v; %s", e.Cause, e.Remedy) }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Cause }

// wrong makes an error about an option, nil of nil.
func wrong(option string, cause error, remedy string) error {
	if cause == nil {
		return nil
	}
	return &OptionError{Option: option, Index: -1, Cause: cause, Remedy: remedy}
}
