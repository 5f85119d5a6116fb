package enforce

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFooter is the most that a footer may have, in octets.
const maxFooter = 16 << 10

// footer checks the text that a rule adds.
func (c *compiler) footer(in *Rule) Footer {
	for _, text := range []struct{ key, value string }{{"footer", in.Footer}, {"footer_html", in.FooterHTML}} {
		bad := strings.ContainsFunc(text.value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' })
		if bad || !utf8.ValidString(text.value) || len(text.value) > maxFooter {
			c.problem(text.key, "must be text in UTF-8 of at most %d octets; shorten it, or save the file as UTF-8", maxFooter)
		}
	}
	if strings.TrimSpace(in.Footer) == "" {
		if in.FooterHTML != "" {
			c.problem("footer_html", "has an effect only with footer; set footer too, for clients that show plain text")
		}
		return Footer{}
	}
	return Footer{Text: lines(in.Footer), HTML: lines(in.FooterHTML)}
}

// lines gives text line ends of one sort.
func lines(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
