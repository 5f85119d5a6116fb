package gateway

import (
	"bytes"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// meetingRequest reports whether the message as a whole is a meeting request or an
// answer to one (RFC 6047), and says why; or why not, where it has something of the
// kind in it. A rule may treat meeting requests less strictly: a calendar file that
// is attached to something, or an invitation in a message that is brought along,
// must not be a way around encryption. signed says that the message bears the
// signature of its author.
func meetingRequest(msg *message.Message, signed bool) (is bool, why string) {
	root := msg.Root()
	if signed && root.MediaType == "multipart/signed" && len(root.Children) == 2 {
		root = root.Children[0]
	}
	if method, ok := invitation(root); ok {
		return true, "meeting request (" + method + ")"
	}
	has := false
	msg.Root().Walk(func(p *message.Part) bool {
		has = has || isCalendar(p) || isTNEF(p)
		return !has
	})
	if has {
		return false, "not a meeting request by itself: the calendar is only attached, has no METHOD, or something else is attached"
	}
	return false, ""
}

// invitation returns the METHOD of the calendar that p is: as the whole of it, or
// beside the same in other forms, or with the calendar attached again for
// readers that look there.
func invitation(p *message.Part) (method string, ok bool) {
	switch {
	case p.Defect != "":
		return "", false
	case isCalendar(p):
		return methodOf(p)
	case isTNEF(p):
		return tnefMeeting(p)
	case p.MediaType == "multipart/alternative" && p.Bare():
		return alternatives(p)
	case p.MediaType == "multipart/mixed" && p.Bare():
		return withCopies(p)
	}
	return "", false
}

// alternatives looks for the calendar among forms of one text.
func alternatives(p *message.Part) (method string, ok bool) {
	for _, c := range p.Children {
		switch {
		case isCalendar(c):
			if method, ok = methodOf(c); !ok {
				return "", false
			}
		case c.Multipart() || !isText(c):
			return "", false
		}
	}
	return method, ok
}

// withCopies looks at an invitation with the same calendar attached, and at a text
// with Outlook's form of it.
func withCopies(p *message.Part) (method string, ok bool) {
	first, rest := p.Children[0], p.Children[1:]
	if len(rest) == 1 && isTNEF(rest[0]) && isText(first) {
		return tnefMeeting(rest[0])
	}
	if method, ok = invitation(first); !ok || isTNEF(first) {
		return "", false
	}
	same := func(c *message.Part) bool {
		m, ok := "", isCalendar(c) && c.Defect == ""
		if ok {
			m, ok = methodOf(c)
		}
		return ok && m == method
	}
	if slices.ContainsFunc(rest, func(c *message.Part) bool { return !same(c) }) {
		return "", false
	}
	return method, true
}

func isCalendar(p *message.Part) bool {
	return p.MediaType == "text/calendar" || p.MediaType == "application/ics"
}

func isTNEF(p *message.Part) bool { return p.MediaType == "application/ms-tnef" }

func tnefMeeting(p *message.Part) (method string, ok bool) {
	content, err := p.Decode()
	if err != nil {
		return "", false
	}
	t, ok := readTNEF(content)
	return t.class, ok && t.meeting() && !t.files
}

// methods are those by which programs talk about a meeting (RFC 5546 section 3.2);
// PUBLISH is how a calendar is handed around.
var methods = []string{"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}

// methodOf returns the METHOD of a calendar, which the parameter of its type repeats
// (RFC 6047 section 2.4). A file inside of it is an attachment like others.
func methodOf(p *message.Part) (string, bool) {
	text, err := p.Decode()
	if err != nil {
		return "", false
	}
	var method string
	calendar := strings.ToUpper(strings.TrimSpace(string(unfoldedCalendar(text))))
	if !strings.HasPrefix(calendar, "BEGIN:VCALENDAR") || !strings.HasSuffix(calendar, "END:VCALENDAR") {
		return "", false
	}
	for line := range strings.Lines(calendar) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		name, params, _ := strings.Cut(name, ";")
		switch name {
		case "METHOD":
			if method != "" {
				return "", false
			}
			method = value
		case "ATTACH":
			if strings.Contains(params, "BINARY") || strings.Contains(params, "BASE64") || strings.HasPrefix(value, "DATA:") {
				return "", false
			}
		}
		if !found {
			return "", false // no property (RFC 5545 section 3.1)
		}
	}
	if param := p.Params["method"]; param != "" && !strings.EqualFold(param, method) {
		return "", false
	}
	return "METHOD:" + method, slices.Contains(methods, method)
}

// unfoldedCalendar joins the lines that a calendar folds (RFC 5545 section 3.1).
func unfoldedCalendar(text []byte) []byte {
	for _, fold := range []string{"\r\n ", "\r\n\t", "\n ", "\n\t"} {
		text = bytes.ReplaceAll(text, []byte(fold), nil)
	}
	return text
}
