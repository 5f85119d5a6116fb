package service

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pair is an attribute of a line of the log.
var pair = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*"|\S*)`)

// logged are the lines of the log, as their attributes.
func (w *world) logged() (all []map[string]string) {
	for line := range strings.Lines(w.log.String()) {
		attributes := map[string]string{}
		for _, m := range pair.FindAllStringSubmatch(line, -1) {
			value := m[2]
			if text, err := strconv.Unquote(value); err == nil {
				value = text
			}
			attributes[m[1]] = value
		}
		all = append(all, attributes)
	}
	return all
}

// story is what the lines about one message say: the first decision about the recipient by
// the listener, and the lines with its id.
func story(lines []map[string]string, listener, recipient string) (decision map[string]string, of []map[string]string) {
	at := slices.IndexFunc(lines, func(l map[string]string) bool {
		return l["msg"] == "decision" && l["listener"] == listener && l["recipient"] == recipient
	})
	if at < 0 {
		return nil, nil
	}
	for _, l := range lines {
		if l["id"] == lines[at]["id"] {
			of = append(of, l)
		}
	}
	return lines[at], of
}

// TestStoryOfAMessage: by each protocol the lines with the id of a message tell who handed it
// over, what was decided by which rule and why, and what the next hop said in the end.
func TestStoryOfAMessage(t *testing.T) {
	listener := func(name, protocol string) string {
		return "[[listener]]\nname = \"" + name + "\"\nprotocol = \"" + protocol + "\"\naddress = \"127.0.0.1:0\"\ndirection = \"outbound\"\n"
	}
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", listener("filter", "lmtp")+listener("mta", "milter")+"[trust]", 1))
	w.hop.refuses = "gone@plain.example"
	const (
		missing, gone, later, fine = "missing@enc.example", "gone@plain.example", "carl@signed.example", "dave@plain.example"
		noCertificate, noIdentity  = "no valid S/MIME certificate for missing@enc.example", "there is no valid identity for alice@example.org"
		taken, refused             = "OK: queued", "no such user"
	)
	doors := map[string]func(to ...string) error{"out": w.bySMTP, "filter": w.byLMTP, "mta": w.byMilter}
	for _, by := range doors {
		for _, to := range []string{missing, gone, later, fine} {
			by(to) //nolint:errcheck // the log shows it
		}
	}
	w.log.waitCount(t, "msg=attempt ", 2) // of the queue
	w.stop()
	lines := w.logged()
	for _, c := range []struct {
		listener, to, rule, outcome, reason string
		last                                map[string]string // a line behind the decision; nil: the client has the answer
	}{
		{"out", missing, "secret", "refused at RCPT", noCertificate, nil},
		{"out", later, "signed", "deferred", noIdentity, nil},
		{"out", gone, "default", "passed", "", map[string]string{"msg": "not delivered", "recipient": gone, "attempt": "1", "error": refused}},
		{"out", fine, "default", "passed", "", map[string]string{"msg": "delivered", "recipient": fine, "reply": taken}},
		{"filter", missing, "secret", "refused at RCPT", noCertificate, nil},
		{"filter", later, "signed", "deferred", noIdentity, nil},
		{"filter", gone, "default", "passed", "", map[string]string{"msg": "not delivered", "recipient": gone, "code": "550", "error": refused}},
		{"filter", fine, "default", "passed", "", map[string]string{"msg": "delivered", "recipient": fine, "reply": taken}},
		{"mta", missing, "secret", "refused at RCPT", noCertificate, nil},
		{"mta", later, "signed", "deferred", noIdentity, nil},
		{"mta", fine, "default", "passed", "", map[string]string{"msg": "message edited", "recipients": "1"}},
	} {
		decision, of := story(lines, c.listener, c.to)
		if decision["rule"] != c.rule || decision["outcome"] != c.outcome || !strings.Contains(decision["reason"], c.reason) ||
			decision["sender"] != "alice@example.org" || decision["client"] == "" || decision["direction"] != "outbound" {
			t.Errorf("%s by %s: the decision is %v", c.to, c.listener, decision)
		}
		if c.last == nil {
			if len(of) != 1 {
				t.Errorf("%s by %s: it is over with the decision, but %v", c.to, c.listener, of)
			}
			continue
		}
		found := slices.ContainsFunc(of, func(l map[string]string) bool {
			for k, v := range c.last {
				if !strings.Contains(l[k], v) {
					return false
				}
			}
			return c.last["msg"] == "message edited" || l["next_hop"] != ""
		})
		if !found {
			t.Errorf("%s by %s: no line has %v and the next hop: %v", c.to, c.listener, slices.Sorted(maps.Keys(c.last)), of)
		}
	}
}
