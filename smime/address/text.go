package address

// UnmarshalText reads what MarshalText wrote; empty text is Null.
func (a *Address) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Null
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
