package milter

import "bytes"

// arguments returns the ESMTP parameters of a MAIL or RCPT packet: what follows the
// path.
func arguments(data []byte) (list []string) {
	_, data, _ = bytes.Cut(data, []byte{0})
	for len(data) > 0 {
		var word []byte
		if word, data, _ = bytes.Cut(data, []byte{0}); len(word) > 0 {
			list = append(list, string(word))
		}
	}
	return list
}
