// Package policytest runs tables of cases against the rules of a configuration,
// so that administrators can keep tests for their own rules. A case says who
// sends what to whom and what is known of the recipients; nothing is asked of a
// directory and nothing is sent.
package policytest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// Case is one [[case]] of a file.
type Case struct {
	Name string `toml:"name"`
	// From is the envelope sender, "<>" for none; Author the mailbox in the
	// field From, where it is another.
	From   string `toml:"from"`
	Author string `toml:"author"`
	// To are shown in the message, Bcc are not.
	To  []string `toml:"to"`
	Bcc []string `toml:"bcc"`
	// Client: the authenticated name, the IP address, the listener.
	User     string `toml:"user"`
	Client   string `toml:"client"`
	Listener string `toml:"listener"`
	// Headers are further fields, "Name: value", and Body is the text.
	// Attachments are file names.
	Headers     []string `toml:"headers"`
	Body        string   `toml:"body"`
	Attachments []string `toml:"attachments"`
	// Certificates are the addresses that have a usable certificate, Unknown
	// those that cannot be looked up. All others have none.
	Certificates []string `toml:"certificates"`
	Unknown      []string `toml:"unknown"`
	// Groups are the members of groups, by the name that rules give them or, for
	// groups that are expanded, by their address. All others have no members;
	// UnknownGroups are those whose members are unknown.
	Groups        map[string][]string `toml:"groups"`
	UnknownGroups []string            `toml:"unknown_groups"`
	// Listed are the addresses that the directory lists for the authenticated
	// user.
	Listed []string `toml:"listed"`
	// Identities are the addresses that we can sign for; where it is absent,
	// every local address.
	Identities []string `toml:"identities"`
	// Found makes it a case of inbound mail: what was found in the message. Nothing is
	// verified.
	Found *Found `toml:"found"`
	// Expect is what becomes of each recipient: "passed", "signed", "encrypted",
	// "signed, encrypted", "refused", "deferred", "stripped", "held" or, in report
	// mode, "reported"; for inbound mail "delivered", "tagged", "quarantined", "refused",
	// "deferred" or "reported"; with " by RULE" the rule is checked too.
	Expect map[string]string `toml:"expect"`
	// Refused is the beginning of the reply that refuses the whole message.
	Refused string `toml:"refused"`

	line int
}

// Found is what was found in an inbound message.
type Found struct {
	Result     string   `toml:"result"` // of RFC 8601; "" is "none"
	Reason     string   `toml:"reason"`
	Chain      string   `toml:"chain"`
	Signed     bool     `toml:"signed"`
	Encrypted  bool     `toml:"encrypted"`
	Signers    []string `toml:"signers"` // addresses of signers whose signature passed
	Algorithms []string `toml:"algorithms"`
	Cipher     string   `toml:"cipher"`
}

// file is the shape of a file of cases.
type file struct {
	Cases []Case `toml:"case"`
}

// Parse reads a file of cases. The error names what cannot be read.
func Parse(data []byte) ([]Case, error) {
	var f file
	meta, err := toml.Decode(string(data), &f)
	if err != nil {
		if e, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("line %d: %s", e.Position.Line, e.Message)
		}
		return nil, err
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		errs = append(errs, fmt.Errorf("unknown key %q", key.String()))
	}
	lines := caseLines(string(data))
	for i := range f.Cases {
		c := &f.Cases[i]
		if i < len(lines) {
			c.line = lines[i]
		}
		if c.Name == "" || len(c.To)+len(c.Bcc) == 0 || len(c.Expect) == 0 && c.Refused == "" {
			errs = append(errs, fmt.Errorf("line %d: case %q: needs name, to (or bcc) and expect (or refused)", c.line, c.Name))
		}
	}
	if len(f.Cases) == 0 {
		errs = append(errs, errors.New("there are no cases; write at least one [[case]]"))
	}
	return f.Cases, errors.Join(errs...)
}

// caseLines finds where the cases begin.
func caseLines(text string) []int {
	var lines []int
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.ReplaceAll(line, " ", ""), "[[case]]") {
			lines = append(lines, i+1)
		}
	}
	return lines
}
