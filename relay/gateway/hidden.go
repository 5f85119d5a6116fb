package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// answerTime bounds the search for the messages that one answers.
const answerTime = 2 * time.Second

// Why the subject of an encrypted copy is not seen outside.
const (
	hiddenByProfile   = "the profile hides it"
	hiddenByAnswer    = "that of the message that it answers was hidden"
	hiddenByBadID     = "the Message-ID that it answers cannot be looked up"
	hiddenByNoHistory = "the history could not be asked about the message that it answers"
)

// answersHidden reports whether an outbound message, of which the plan encrypts a copy with a
// subject outside, answers one whose subject was hidden: it returns why its own must not be seen
// either (RFC 9788 section 6.1), or "". One that cannot be searched for counts as hidden.
func (g *Gateway) answersHidden(ctx context.Context, msg *message.Message, plan enforce.Plan) string {
	shows := func(c enforce.Copy) bool { return c.Encrypt != nil && !g.Profiles[c.Encrypt.Profile].ProtectEncrypted }
	if g.HidSubject == nil || !slices.ContainsFunc(plan.Copies, shows) {
		return ""
	}
	ids, known := answeredIDs(msg)
	if !known {
		return hiddenByBadID
	}
	if len(ids) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	switch hid, err := g.HidSubject(ctx, ids); {
	case err != nil:
		return hiddenByNoHistory
	case hid:
		return hiddenByAnswer
	}
	return ""
}

// answeredIDs returns the Message-IDs of what a message answers, and of what that answered,
// the last first (RFC 5322 section 3.6.4). known is false where one of them is not as the
// history has it: too long, not a msg-id, or without its angle brackets.
func answeredIDs(m *message.Message) (ids []string, known bool) {
	for _, name := range []string{"References", "In-Reply-To"} {
		for _, value := range m.All(name) {
			ids = append(ids, relay.BracketedID.FindAllString(value, -1)...)
			if strings.ContainsAny(relay.BracketedID.ReplaceAllString(value, ""), "<>@") {
				return nil, false
			}
		}
	}
	if slices.ContainsFunc(ids, func(id string) bool { return !isMessageID(id) }) {
		return nil, false
	}
	slices.Reverse(ids)
	return ids[:min(len(ids), maxAnswered)], true
}
