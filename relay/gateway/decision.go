package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// Decision is what was decided on one recipient of a message. The log has a line of it,
// and the history a row.
type Decision struct {
	Envelope  *relay.Envelope
	Direction enforce.Direction
	enforce.Assigned
	// Outcome is what is to become of the message, in the words of the log; Reason says why.
	Outcome, Reason string
	// Decided is what the rules had done, in the words of Treatment of package enforce.
	Decided string
	// Moment is when in the life of the message it was decided.
	Moment Moment
	// Cause is the kind of Reason, where the message is kept from the recipient: what is
	// missing, or the kind of a fault.
	Cause string
	// Order is what an administrator ordered, if one did.
	Order relay.Order
	// Size is that of the message as it came, in octets; 0 before it has come.
	Size int
	// Steps are what is done with the copy, in their order, for people.
	Steps []string
	// Certificates are those that the copy is encrypted to, or that signed what came in,
	// and Treatment what was done to it.
	Certificates []enforce.Fingerprint
	Treatment    relay.Treatment
	// ProtectedID is the Message-ID inside of a message that was decrypted and hid its subject,
	// where it is not the one outside: an answer may name either. "" is none.
	ProtectedID string
	// Stages are the parts of the work on the message that took time.
	Stages []Stage
	// Facts are those that the decision had, about this recipient only; nil where it was
	// made without.
	Facts *enforce.Facts
}

// refusedAtRCPT is the outcome for a recipient who is refused before the message comes.
const refusedAtRCPT = "refused at RCPT"

// Outcomes of decisions on held messages.
const (
	OutcomeReleased      = "released"
	OutcomeReleasedPlain = "released without encryption"
	OutcomeDeleted       = "deleted from quarantine"
)

// Stage is a part of the work on a message.
type Stage struct {
	Name string
	Took time.Duration
}

// Moment is when in the life of a message a decision is made.
type Moment int

// The moments.
const (
	OnMessage   Moment = iota // when it has come
	OnRecipient               // when its recipient was named, before it came
	OnHeld                    // when it was held
)

// decided writes a decision to the log at a level, and passes it on. Subjects and bodies
// are never in it.
func (g *Gateway) decided(ctx context.Context, level slog.Level, d Decision) {
	if g.Decided == nil && !g.Log.Enabled(ctx, level) {
		return
	}
	d.Direction = g.Direction(d.Envelope, d.Address)
	d.log(ctx, g.Log, level)
	if g.Decided != nil {
		g.Decided(d)
	}
}

func (d *Decision) log(ctx context.Context, log *slog.Logger, level slog.Level) {
	env := d.Envelope
	log.LogAttrs(ctx, level, "decision",
		slog.String("id", env.ID),
		slog.String("queue_id", env.QueueID),
		slog.String("message_id", env.MessageID),
		slog.String("listener", env.Listener),
		slog.String("client", client(env)),
		slog.String("user", env.Client.User),
		slog.String("direction", string(d.Direction)),
		slog.String("sender", env.Sender.String()),
		slog.String("recipient", d.Address.String()),
		slog.String("rule", d.Rule),
		slog.String("outcome", d.Outcome),
		slog.String("reason", d.Reason))
}

// client is the address of the client, "" where it is not known.
func client(env *relay.Envelope) string {
	if !env.Client.Addr.IsValid() {
		return ""
	}
	return env.Client.Addr.String()
}

// missing says of a refused recipient what kind of reason there is.
func missing(r enforce.Refusal) string {
	if r.Missing == "" {
		return fault.Policy.String()
	}
	return string(r.Missing)
}

// steps are what is done with a copy, in their order.
func steps(c enforce.Copy) []string {
	var all []string
	if c.Footer.Text != "" {
		all = append(all, "add the footer")
	}
	if c.Sign != nil {
		step := "sign by profile " + c.Sign.Profile
		if c.Sign.Identity != "" {
			step += " as " + c.Sign.Identity
		}
		all = append(all, step)
	}
	if c.SubjectTag != "" {
		all = append(all, "tag the subject")
	}
	if c.Encrypt != nil {
		all = append(all, "encrypt by profile "+c.Encrypt.Profile)
	}
	if len(all) == 0 {
		all = append(all, "leave as it is")
	}
	return all
}

// only are the facts about one of the recipients. What of the message is not to be kept
// longer than it is not among them.
func only(f *enforce.Facts, i int) *enforce.Facts {
	if i < 0 || i >= len(f.Recipients) {
		return nil
	}
	one := *f
	one.Recipients = f.Recipients[i : i+1 : i+1]
	one.Content.Header, one.Content.Unread, one.Content.Attachments = nil, nil, nil
	return &one
}

// stopwatch measures the stages of the work on a message.
type stopwatch struct {
	clock func() time.Time
	begun time.Time
	done  []Stage
}

func (g *Gateway) stopwatch() *stopwatch { return &stopwatch{clock: g.Clock, begun: g.Clock()} }

// lap ends a stage, and begins the next.
func (s *stopwatch) lap(name string) {
	now := s.clock()
	s.done = append(s.done, Stage{Name: name, Took: now.Sub(s.begun)})
	s.begun = now
}
