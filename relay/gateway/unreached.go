package gateway

import (
	"slices"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// expectReport gives a question its return path, if there is one: a server reports its failure
// there, and nothing else (RFC 3461 section 4.1). ORCPT has the report name who was asked,
// also where the question is forwarded.
func (g *Gateway) expectReport(q *relay.Question) (err error) {
	if g.Ask.ReturnPath == nil {
		return nil
	}
	until := q.Asks.Until
	if again := g.Clock().Add(q.Again); again.After(until) {
		until = again // a message of that day waits for the answer to this question
	}
	q.Asks.Number = returnpath.NewNumber()
	if q.Sender, err = g.Ask.ReturnPath.Question(q.Asks.Number, until); err != nil {
		return err
	}
	to := &q.Recipients[0]
	to.Notify, to.OriginalType, to.Original = []string{"FAILURE"}, originalType(to.Address), to.Address.String()
	q.Params.Return = "HDRS"
	return nil
}

// bounced returns the number of the question whose return path a recipient is. ok is false for
// all other recipients, and where no report can come from: a listener for mail that leaves, or a
// client that has logged in. Such mail is treated like any: that an address is forged, or
// counts no longer, shows in nothing.
func (g *Gateway) bounced(env *relay.Envelope, a address.Address) (number string, ok bool) {
	l, known := g.listeners[env.Listener]
	if g.Ask.ReturnPath == nil || !known || l.Direction == "outbound" || env.Client.User != "" {
		return "", false
	}
	return g.Ask.ReturnPath.ReadQuestion(a, g.Clock())
}

// takeBackQuestion handles what comes back on a question. A report that it failed has those
// returned who wait for its answer; all else that programs send goes no further. Its error is the
// answer.
func (g *Gateway) takeBackQuestion(env *relay.Envelope, msg *message.Message, a address.Address, number string, o *answer.Outcome) error {
	failed, why := questionFailures(env, msg)
	if why != "" {
		if !env.Sender.IsNull() && !automatic(msg) && !dsn.IsReport(msg) {
			return noReturn(reportsOnly)
		}
		g.logReturned(env, a, "discarded", why)
		return nil
	}
	o.Unreached = append(o.Unreached, relay.Unreached{Number: number, Failed: failed})
	g.logReturned(env, a, "reported", "the request for a certificate could not be delivered")
	return nil
}

// questionFailures returns whom a report says that a question did not reach; why says that it
// says no such thing. Only a report in the form of RFC 3464 counts, with the null sender, that two
// readers cannot read in two ways: what some servers write in a form of their own may be an
// answer of a person, which must not end the wait. One that has good news too does not count
// either: the question was forwarded to several, and one of them may answer.
func questionFailures(env *relay.Envelope, msg *message.Message) (failed []relay.Unasked, why string) {
	if !env.Sender.IsNull() || !dsn.IsReport(msg) {
		return nil, "not a report"
	}
	all := dsn.Statuses(msg)
	if len(all) == 0 || slices.ContainsFunc(all, func(s dsn.Status) bool { return s.Action != "failed" }) {
		return nil, "not a failure report"
	}
	for _, s := range all {
		failed = append(failed, relay.Unasked{Original: s.Original, Final: s.Final, Reason: s.Reason})
	}
	return failed, ""
}

// unreachable is the error for a recipient whose question could not be delivered.
func unreachable(why string) error {
	return fault.New(fault.Policy, "the request for a certificate could not be delivered: "+why, nil)
}
