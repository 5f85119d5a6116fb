package fault

// Each returns the errors that errors.Join joined in err, or err alone; none for
// nil.
func Each(err error) []error {
	switch e := err.(type) { //nolint:errorlint // what is joined at the top, not below
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	}
	return []error{err}
}
