package smtpclient

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// mailFrom returns the MAIL command. Parameters that the hop does not know are
// left out (RFC 3461 section 5.2.1 asks no more of a relay).
func (h *hop) mailFrom(t *Transfer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "MAIL FROM:<%s>", h.path(t.d.Sender))
	if h.offers("SIZE") {
		fmt.Fprintf(&b, " SIZE=%d", t.size())
	}
	if t.eight && h.offers("8BITMIME") {
		b.WriteString(" BODY=8BITMIME")
	}
	if t.international(h) {
		b.WriteString(" SMTPUTF8")
	}
	if t.d.Params.RequireTLS && h.offers("REQUIRETLS") {
		b.WriteString(" REQUIRETLS")
	}
	if h.offers("DSN") {
		if r := t.d.Params.Return; r == "FULL" || r == "HDRS" {
			b.WriteString(" RET=" + r)
		}
		if id := t.d.Params.EnvID; id != "" {
			b.WriteString(" ENVID=" + xtext(id))
		}
	}
	return b.String()
}

// international reports whether the transaction is one of SMTPUTF8 (RFC 6531 section
// 3.4).
func (t *Transfer) international(h *hop) bool {
	return h.offers("SMTPUTF8") && (t.d.Params.SMTPUTF8 || t.anyUTF8())
}

// anyUTF8 reports an address that needs SMTPUTF8.
func (t *Transfer) anyUTF8() bool {
	for _, i := range t.open {
		if !t.d.Recipients[i].Address.ASCII() {
			return true
		}
	}
	return !t.d.Sender.ASCII()
}

// rcptTo returns the RCPT command for a recipient whose address the hop supports.
func (t *Transfer) rcptTo(h *hop, r relay.Recipient) (string, error) {
	if !r.Address.ASCII() && !h.offers("SMTPUTF8") {
		return "", fault.Narrow(fault.Refused, fault.International, "next hop does not support internationalized addresses", nil)
	}
	line := "RCPT TO:<" + h.path(r.Address) + ">"
	if !h.offers("DSN") {
		return line, nil
	}
	if n := notify(r.Notify); n != "" {
		line += " NOTIFY=" + n
	}
	if r.Original != "" && isAtom(r.OriginalType) {
		line += " ORCPT=" + r.OriginalType + ";" + original(r, t.international(h))
	}
	return line, nil
}

// path returns the wire form of an address; the domain as A-labels for a hop
// that knows nothing else.
func (h *hop) path(a address.Address) string {
	s := a.String()
	if a.IsNull() || h.offers("SMTPUTF8") {
		return s
	}
	return s[:strings.LastIndexByte(s, '@')+1] + a.Domain()
}

// notify returns the NOTIFY keywords (RFC 3461 section 4.1), "" if there is one
// that is none.
func notify(keywords []string) string {
	for _, k := range keywords {
		switch k {
		case "NEVER", "SUCCESS", "FAILURE", "DELAY":
		default:
			return ""
		}
	}
	return strings.Join(keywords, ",")
}

// original returns the address of ORCPT, encoded as its type asks: RFC 3461
// section 4.2, or RFC 6533 section 3 for the type "utf-8", which has characters beyond
// ASCII only in a transaction of SMTPUTF8.
func original(r relay.Recipient, international bool) string {
	if !strings.EqualFold(r.OriginalType, "utf-8") {
		return xtext(r.Original)
	}
	var b strings.Builder
	for _, c := range r.Original {
		switch {
		case c >= '!' && c <= '~' && c != '+' && c != '=' && c != '\\', c > '~' && international:
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, c)
		}
	}
	return b.String()
}

// xtext encodes as RFC 3461 section 4 says.
func xtext(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '!' && c <= '~' && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}

func isAtom(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}
