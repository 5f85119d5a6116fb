package cms

func (e *EnvelopedData) rc2Opener(o DecryptOptions) (opener, error) {
	return opener{}, unsupported("cipher %s", e.Cipher)
}
