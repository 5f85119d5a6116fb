package smtpd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/address"
)

// command is a command line. The library is shown a plain form of it, and asks
// the session, which has the parameters from here: the library drops source
// routes and quotes, and refuses parameters that are only to be handed on.
type command struct {
	verb string // upper case
	line string // as received, without its line end
	args string // behind the verb

	// Of MAIL and RCPT.
	path   address.Address
	params []string
	err    error // why they cannot be used
}

// parseCommand reads a line, as tolerant of blanks as Postfix.
func parseCommand(line string, paths wire.Paths) command {
	c := command{line: strings.TrimRight(line, "\r\n")}
	verb, args, _ := strings.Cut(strings.ReplaceAll(strings.Trim(c.line, " \t"), "\t", " "), " ")
	c.verb, c.args = strings.ToUpper(verb), strings.Trim(args, " ")
	switch c.verb {
	case "AUTH":
		// Anything else may be a password, and the line is for the log.
		mechanism, _, _ := strings.Cut(c.args, " ")
		if c.line = c.verb + " " + strings.ToUpper(mechanism); !slices.Contains(mechanisms, strings.ToUpper(mechanism)) {
			c.line = c.verb + " " + hidden
		}
	case "MAIL":
		c.readPath("FROM", paths.Sender)
	case "RCPT":
		c.readPath("TO", paths.Recipient)
	}
	return c
}

// verbs are the commands of SMTP, LMTP and their extensions.
const verbs = " HELO EHLO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT STARTTLS AUTH VRFY EXPN HELP XFORWARD XCLIENT "

// hidden stands for what may be a password.
const hidden = "(hidden)"

// known reports whether c is a command at all.
func (c *command) known() bool { return c.verb == "" || strings.Contains(verbs, " "+c.verb+" ") }

// isHTTP reports whether c is the first line of a request to a web server. Browsers and
// other programs of a trusted client can be made to send one here, with commands in its body.
func (c *command) isHTTP() bool {
	return strings.HasPrefix(strings.ToUpper(c.args[strings.LastIndexByte(c.args, ' ')+1:]), "HTTP/")
}

// hide makes c an unknown command that tells nothing, neither in the log
// nor in the reply of the library.
func (c *command) hide() { *c = command{verb: hidden, line: hidden} }

func (c *command) readPath(keyword string, read func(string) (address.Address, error)) {
	rest, ok := cutKeyword(c.args, keyword)
	if !ok {
		c.err = syntax(fmt.Errorf("%s: no %s:<address>", c.verb, keyword))
		return
	}
	path, params, err := wire.CutPath(rest)
	if err != nil {
		c.err = syntax(err)
		return
	}
	c.params = params
	c.path, c.err = read(path)
}

// cutKeyword takes "FROM:" or "TO:" off the front, whatever blanks are in it.
func cutKeyword(args, keyword string) (string, bool) {
	if len(args) < len(keyword) || !strings.EqualFold(args[:len(keyword)], keyword) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(args[len(keyword):], " "), ":")
	return strings.TrimLeft(rest, " "), ok
}

// plain returns the line for the library.
func (c *command) plain() string {
	path := "invalid@invalid" // the session has the error
	if c.err == nil {
		path = c.path.String()
	}
	switch c.verb {
	case "MAIL":
		return "MAIL FROM:<" + path + ">"
	case "RCPT":
		return "RCPT TO:<" + path + ">"
	}
	if c.args == "" {
		return c.verb
	}
	return c.verb + " " + c.args
}

// chunk returns how many octets follow a BDAT command (RFC 3030 section 2).
func (c *command) chunk() (size int64, ok bool) {
	words := strings.Fields(c.args)
	if len(words) == 0 || len(words) > 2 || len(words) == 2 && !strings.EqualFold(words[1], "LAST") {
		return 0, false
	}
	n, err := strconv.ParseUint(words[0], 10, 32)
	return int64(n), err == nil
}

// syntax is the refusal of a command that is not understood.
func syntax(cause error) error {
	return fault.Narrow(fault.Malformed, fault.Syntax, cause.Error(), nil)
}

// badParams is the refusal of a command for its parameters.
func badParams(err error) error {
	detail := fault.Parameter
	if wire.IsUnknownParam(err) {
		detail = fault.UnknownParameter
	}
	return fault.Narrow(fault.Malformed, detail, err.Error(), nil)
}

// mail returns the envelope that a MAIL command begins.
func (c *command) mail(limit int, secured bool) (address.Address, relay.MailParams, error) {
	if c.err != nil {
		return address.Null, relay.MailParams{}, c.err
	}
	params, size, err := wire.MailParams(c.params)
	switch {
	case err != nil:
		return c.path, params, badParams(err)
	case params.RequireTLS && !secured:
		// RFC 8689 section 4.1: it is offered over TLS only.
		return c.path, params, fault.Narrow(fault.Malformed, fault.UnknownParameter, "REQUIRETLS is accepted over TLS only", nil)
	case size > int64(limit):
		return c.path, params, fault.New(fault.TooLarge, fmt.Sprintf("message too large: %d octets declared, %d accepted", size, limit), nil)
	}
	if params.RequireTLS {
		params.Return = "HDRS" // RFC 8689 section 5: whatever RET says
	}
	return c.path, params, needsUTF8(c.path, params.SMTPUTF8)
}

// rcpt returns the recipient that a RCPT command names.
func (c *command) rcpt(utf8 bool) (relay.Recipient, error) {
	if c.err != nil {
		return relay.Recipient{}, c.err
	}
	r, err := wire.RcptParams(c.params)
	if err != nil {
		return relay.Recipient{}, badParams(err)
	}
	r.Address = c.path
	return r, needsUTF8(c.path, utf8)
}

// needsUTF8 refuses an internationalized address in a transaction that was not
// announced as such (RFC 6531 section 3.5).
func needsUTF8(a address.Address, announced bool) error {
	if announced || !strings.ContainsFunc(a.String(), func(r rune) bool { return r > '~' }) {
		return nil
	}
	return fault.Narrow(fault.BadAddress, fault.International, "address needs SMTPUTF8", nil)
}
