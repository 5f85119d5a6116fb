package milter

import "strings"

// maxCommand is the largest MAIL or RCPT packet that is looked into.
const maxCommand = 16 << 10

// arguments returns the ESMTP parameters of a MAIL or RCPT packet's data: what
// follows the path. The library drops them, and with them the wishes of the
// sender about reports.
func arguments(data []byte) []string {
	_, rest, _ := strings.Cut(string(data), "\x00")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == 0 })
}
