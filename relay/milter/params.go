package milter

import (
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
)

// maxCommand is the largest MAIL or RCPT packet that is looked into.
const maxCommand = 16 << 10

// arguments returns the ESMTP parameters of a MAIL or RCPT packet's data: what
// follows the path. The library drops them, and with them the wishes of the
// sender about reports.
func arguments(data []byte) []string {
	_, rest, _ := strings.Cut(string(data), "\x00")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == 0 })
}

// mailParams reads the parameters of MAIL (RFC 3461 section 4.3 and 4.4, RFC
// 6531). The MTA has accepted them; what is malformed all the same is left out.
func mailParams(args []string) relay.MailParams {
	var p relay.MailParams
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch strings.ToUpper(key) {
		case "RET":
			if v := strings.ToUpper(value); v == "FULL" || v == "HDRS" {
				p.Return = v
			}
		case "ENVID":
			p.EnvID, _ = unxtext(value)
		case "SMTPUTF8":
			p.SMTPUTF8 = true
		}
	}
	return p
}

// rcptParams reads the parameters of RCPT (RFC 3461 sections 4.1 and 4.2).
func rcptParams(args []string) (r relay.Recipient) {
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch strings.ToUpper(key) {
		case "NOTIFY":
			r.Notify = keywords(value)
		case "ORCPT":
			kind, addr, _ := strings.Cut(value, ";")
			kind = strings.ToLower(kind)
			decode := unxtext
			if kind == "utf-8" {
				decode = unUTF8
			}
			if addr, ok := decode(addr); ok && addr != "" {
				r.OriginalType, r.Original = kind, addr
			}
		}
	}
	return r
}

// keywords reads the list of NOTIFY, nil if there is a word in it that is none.
func keywords(list string) []string {
	words := strings.Split(strings.ToUpper(list), ",")
	for _, w := range words {
		switch w {
		case "NEVER", "SUCCESS", "FAILURE", "DELAY":
		default:
			return nil
		}
	}
	return words
}

// unxtext decodes the xtext of RFC 3461 section 4: "+" and two digits.
func unxtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c, i = byte(n), i+2
		}
		if c < ' ' || c > '~' {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// unUTF8 decodes the forms of RFC 6533 section 3: "\x{", digits, "}".
func unUTF8(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !found {
			break
		}
		digits, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(digits, 16, 21)
		if !closed || err != nil || n < ' ' || n >= 0x7f && n < 0xa0 || n >= 0xd800 && n < 0xe000 || n > 0x10ffff {
			return "", false
		}
		b.WriteRune(rune(n))
		s = after
	}
	return b.String(), true
}
