package message

import (
	"bytes"
	"strings"
)

// Bare reports whether a multipart is closed and has nothing around its parts but
// the line that programs write there for readers that know no MIME (RFC 2046
// section 5.1.1).
func (p *Part) Bare() bool {
	if p.Defect != "" || !p.Closed || len(p.Children) == 0 {
		return false
	}
	last := p.Children[len(p.Children)-1]
	delimiter := []byte("--" + p.Params["boundary"])
	before, _, _ := bytes.Cut(p.Content()[:p.Children[0].Start-p.Body], delimiter)
	_, after, _ := bytes.Cut(p.Content()[last.End-p.Body:], append(delimiter, "--"...))
	return announcements[strings.TrimSuffix(string(bytes.TrimSpace(before)), ".")] && len(bytes.TrimSpace(after)) == 0
}

// announcements are those of OpenSSL and this program, Thunderbird, Postfix, and
// many others.
var announcements = map[string]bool{
	"":                                 true,
	"This is an S/MIME signed message": true,
	"This is a cryptographically signed message in MIME format": true,
	"This is a MIME-encapsulated message":                       true,
	"This is a multi-part message in MIME format":               true,
}
