package wire

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
)

// MailParams reads the ESMTP parameters of MAIL: RET and ENVID (RFC 3461
// sections 4.3 and 4.4), SMTPUTF8 (RFC 6531), REQUIRETLS (RFC 8689), SIZE (RFC 1870),
// BODY (RFC 6152) and AUTH (RFC 4954, not used). size is 0 where none is declared. The error
// names the first that is not understood; the result has all others.
func MailParams(args []string) (p relay.MailParams, size int64, err error) {
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		ok := true
		switch strings.ToUpper(key) {
		case "RET":
			v := strings.ToUpper(value)
			if ok = v == "FULL" || v == "HDRS"; ok {
				p.Return = v
			}
		case "ENVID":
			if id, good := Xtext(value); good && id != "" && isASCII(id) {
				p.EnvID = id
			} else {
				ok = false
			}
		case "SMTPUTF8":
			p.SMTPUTF8 = true
		case "SIZE":
			n, bad := strconv.ParseUint(value, 10, 63)
			if ok = bad == nil; ok {
				size = int64(n)
			}
		case "BODY":
			v := strings.ToUpper(value)
			ok = v == "7BIT" || v == "8BITMIME"
		case "REQUIRETLS":
			p.RequireTLS, ok = true, value == ""
		case "AUTH":
		default:
			err = first(err, unknownParam("MAIL", key))
		}
		if !ok {
			err = first(err, badParam(arg))
		}
	}
	return p, size, err
}

// RcptParams reads the parameters of RCPT: NOTIFY and ORCPT (RFC 3461 sections
// 4.1 and 4.2). An ORCPT of whatever type is to be handed on, and nothing else:
// that its address is none, or has 8-bit characters in the encoding of ASCII
// (Postfix writes both), is not our concern.
func RcptParams(args []string) (r relay.Recipient, err error) {
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		ok := true
		switch strings.ToUpper(key) {
		case "NOTIFY":
			r.Notify, ok = keywords(value)
		case "ORCPT":
			r.OriginalType, r.Original, ok = original(value)
		default:
			err = first(err, unknownParam("RCPT", key))
		}
		if !ok {
			err = first(err, badParam(arg))
		}
	}
	return r, err
}

// first keeps the first of two errors.
func first(have, next error) error {
	if have != nil {
		return have
	}
	return next
}

func badParam(arg string) error { return fmt.Errorf("parameter %q: not understood", arg) }

// errUnknownParam is in the chain of the error about a parameter that no
// supported extension has (RFC 5321 section 4.1.1.11: 555).
var errUnknownParam = errors.New("unknown parameter")

// IsUnknownParam reports whether an error is about a parameter that is not known.
func IsUnknownParam(err error) bool { return errors.Is(err, errUnknownParam) }

func unknownParam(verb, key string) error { return fmt.Errorf("%s: %w %q", verb, errUnknownParam, key) }

// original reads the value of ORCPT.
func original(value string) (kind, addr string, ok bool) {
	kind, addr, _ = strings.Cut(value, ";")
	kind = strings.ToLower(kind)
	if kind == "" || addr == "" {
		return "", "", false
	}
	decoded, ok := Xtext(addr)
	if kind == "utf-8" {
		decoded, ok = unUTF8(addr)
	}
	if !ok {
		return "", "", false
	}
	return kind, decoded, true
}

// keywords reads the list of NOTIFY, nil if there is a word in it that is none.
// NEVER stands alone.
func keywords(list string) ([]string, bool) {
	words := strings.Split(strings.ToUpper(list), ",")
	for i, w := range words {
		switch w {
		case "NEVER", "SUCCESS", "FAILURE", "DELAY":
		default:
			return nil, false
		}
		if slices.Contains(words[:i], w) || w == "NEVER" && len(words) > 1 {
			return nil, false
		}
	}
	return words, true
}

// Xtext decodes the xtext of RFC 3461 section 4: "+" and two digits. Controls
// are refused: nothing that reads the result expects a line end.
func Xtext(s string) (string, bool) {
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
		if c < ' ' || c == 0x7f {
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

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}
