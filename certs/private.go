package certs

// ReadPrivate reads a small file with a secret: it must not be readable by others
// nor writable by more than its owner, and is at most limit octets long.
func ReadPrivate(file string, limit int64) ([]byte, error) {
	if err := checkPrivate(file); err != nil {
		return nil, err
	}
	return readLimited(file, limit)
}
