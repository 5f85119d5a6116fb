package service

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// recorder makes the rows of the history. What was decided on a message waits for what the
// client is answered, and is then one row for each recipient; what happens later changes
// them. A nil recorder records nothing.
type recorder struct {
	place  history.Place
	writer *history.Writer
	clock  func() time.Time

	mu      sync.Mutex
	decided map[string][]history.Row // by the ID of the envelope
}

// mostDecided bounds the messages that wait for their answer. Those whose client went away
// have none, and leave with the others when there are so many.
const mostDecided = 10_000

// newRecorder begins to record at a place.
func (s *Service) newRecorder(place history.Place) *recorder {
	return &recorder{
		place: place, clock: s.options.Clock, decided: map[string][]history.Row{},
		writer: history.NewWriter(history.WriterConfig{
			Open:   func(ctx context.Context) (*history.Store, error) { return history.Open(ctx, place) },
			Limits: s.historyLimits, Clock: s.options.Clock, Log: s.log,
			Dropped: func(n int) { s.metrics.HistoryDropped.Add(float64(n)) },
		}),
	}
}

// historyLimits are those of the configuration in use.
func (s *Service) historyLimits() history.Limits {
	p, release := s.use()
	defer release()
	return history.Limits{Age: p.Config.History.Keep, Size: int64(p.Config.History.Size)}
}

// record has the recorder of a configuration in use, and ends another one.
func (s *Service) record(c *config.Config) {
	place, ok, err := HistoryPlace(c)
	if err != nil {
		s.log.Warn("there is no history", "error", err)
	}
	before := s.recorder.Load()
	if ok && before != nil && before.place == place {
		return
	}
	var r *recorder
	if ok {
		r = s.newRecorder(place)
	}
	s.recorder.Store(r)
	if before != nil {
		s.work.Go(func() { before.close(s.log) })
	}
}

// recordTime bounds what is written at the end.
const recordTime = 10 * time.Second

// close writes what is left.
func (r *recorder) close(log *slog.Logger) {
	if r == nil {
		return
	}
	r.flush()
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := r.writer.Close(ctx); err != nil {
		log.Warn("the end of the history could not be written", "error", err)
	}
}

// flush writes the rows that wait for an answer.
func (r *recorder) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rows := range r.decided {
		r.writer.Put(rows...)
	}
	clear(r.decided)
}

// decision notes what was decided on a recipient.
func (r *recorder) decision(d gateway.Decision) {
	switch {
	case r == nil:
	case d.Moment == gateway.OnHeld:
		if c, ok := r.later(d); ok {
			r.writer.Change(c)
		}
	case d.Moment == gateway.OnRecipient:
		row := r.row(d.Envelope, d.Address, d.Direction)
		addDecision(&row, d)
		row.Outcome, row.Decided = history.Refused, history.AtRCPT
		r.writer.Put(row)
	default:
		row := r.row(d.Envelope, d.Address, d.Direction)
		addDecision(&row, d)
		r.wait(row)
	}
}

// wait keeps a row until the client is answered.
func (r *recorder) wait(row history.Row) {
	r.mu.Lock()
	full := len(r.decided) >= mostDecided
	r.mu.Unlock()
	if full {
		r.flush()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decided[row.ID] = append(r.decided[row.ID], row)
}

// row is what an envelope says of a recipient.
func (r *recorder) row(env *relay.Envelope, to address.Address, direction enforce.Direction) history.Row {
	row := history.Row{
		Time: r.clock(), ID: env.ID, QueueID: env.QueueID, MessageID: env.MessageID, Listener: env.Listener,
		Helo: env.Client.Helo, User: env.Client.User, TLS: env.Client.TLS,
		Direction: string(direction), Sender: env.Sender, Recipient: to,
	}
	if env.Client.Addr.IsValid() {
		row.Client = env.Client.Addr.String()
	}
	return row
}

// addDecision adds what was decided.
func addDecision(row *history.Row, d gateway.Decision) {
	row.Size, row.Rule, row.Line, row.Steps, row.Reason, row.Cause = int64(d.Size), d.Rule, d.Line, d.Steps, d.Reason, d.Cause
	row.Protection, row.Result, row.Encryption, row.Cipher = d.Treatment.Protection, d.Treatment.Result, d.Treatment.Encryption, d.Treatment.Cipher
	for _, fp := range d.Certificates {
		row.Certificates = append(row.Certificates, hex.EncodeToString(fp[:]))
	}
	for _, s := range d.Stages {
		row.Stages = append(row.Stages, history.Stage(s))
	}
	row.Facts, row.Decided = d.Facts, d.Decided
	switch o := history.Outcome(d.Outcome); o {
	case history.Refused, history.Deferred, history.Stripped, history.Held, history.Quarantined:
		row.Outcome = o
	default:
		row.Outcome = history.Queued
	}
}

// answered writes the rows of a message whose client got its answer.
func (r *recorder) answered(t relay.Tally, direction func(*relay.Envelope, address.Address) enforce.Direction) {
	if r == nil {
		return
	}
	r.mu.Lock()
	rows := r.decided[t.Envelope.ID]
	delete(r.decided, t.Envelope.ID)
	r.mu.Unlock()
	at := map[string]int{}
	for i := range rows {
		at[relay.Key(rows[i].Recipient)] = i
	}
	groups := map[string]int{}
	for i, to := range t.Envelope.Recipients {
		groups[relay.Key(to.Address)] = i
		if n, ok := at[relay.Key(to.Address)]; ok {
			r.answer(&rows[n], t, i)
		} else if err := t.Answer(i); err != nil || t.Decided == nil || t.Decided.Recipients[i].Kind == relay.Returned {
			// Else it is a group, and its members have rows.
			row := r.row(t.Envelope, to.Address, direction(t.Envelope, to.Address))
			r.answer(&row, t, i)
			rows = append(rows, row)
		}
	}
	for i := range rows {
		if _, named := groups[relay.Key(rows[i].Recipient)]; named || rows[i].Facts == nil {
			continue
		}
		for _, through := range rows[i].Facts.Recipients[0].Through {
			if n, ok := groups[relay.Key(through)]; ok && t.Answer(n) != nil {
				r.answer(&rows[i], t, n)
			}
		}
	}
	r.writer.Put(rows...)
}

// answer notes what the client was answered for the recipient at an index.
func (r *recorder) answer(row *history.Row, t relay.Tally, i int) {
	err := t.Answer(i)
	if err == nil {
		if t.Decided != nil {
			row.Outcome = history.Outcome(t.Decided.Recipients[i].Kind)
		}
		return
	}
	row.Outcome = history.Refused
	if relay.Temporary(err) {
		row.Outcome = history.Deferred
	}
	f := fault.Of(err)
	if row.Cause == "" {
		row.Cause = f.Kind.String()
	}
	if row.Reason == "" {
		row.Reason = err.Error()
	}
	row.Events = append(row.Events, history.Event{Time: r.clock(), Kind: history.Answered, Reply: line(relay.ReplyFor(err))})
}

// line is a reply as it stands in a log.
func line(r fault.Reply) string {
	if r.Enhanced == [3]int{} {
		return fmt.Sprintf("%d %s", r.Code, r.Text)
	}
	return r.String()
}

// later is what became of a message that was held; ok is false where nothing did.
func (r *recorder) later(d gateway.Decision) (c history.Change, ok bool) {
	c = history.Change{
		ID: d.Envelope.ID, Recipient: d.Address, Cause: d.Cause,
		Event: history.Event{Time: r.clock(), Kind: history.Ended, Reason: d.Reason, By: d.Order.By},
	}
	switch d.Outcome {
	case gateway.OutcomeReleased, gateway.OutcomeReleasedPlain:
		c.Event.Kind, c.Event.Reason, c.Outcome = history.Released, d.Order.Reason, history.Queued
	case string(history.Refused):
		c.Outcome = history.Failed
	case gateway.OutcomeDeleted:
		c.Outcome = history.Removed
	default:
		return c, false
	}
	return c, true
}

// attempted notes an attempt to deliver, with the replies by which next hops took the
// message. queued says that it was made from the queue; else the client is answered by it.
func (r *recorder) attempted(d relay.Delivery, errs []error, replies map[address.Address]history.Event, queued bool) {
	if r == nil || d.Direction == "" { // a message of the gateway's own
		return
	}
	for i, err := range errs {
		to := d.Recipients[i].Address
		c := history.Change{ID: d.Origin.ID, Recipient: to, Event: replies[to]}
		c.Event.Time, c.Event.Kind = r.clock(), history.Attempt
		if err != nil {
			c.Event.Reason = err.Error()
			if f := fault.Of(err); f.Reply.Code != 0 {
				c.Event.Host, c.Event.Reply, c.Event.Reason = f.Host, line(f.Reply), ""
			}
		}
		if queued && err == nil {
			c.Outcome = history.Delivered
		}
		r.writer.Change(c)
	}
}

// gaveUp notes recipients whom the queue gives up.
func (r *recorder) gaveUp(d relay.Delivery, about []relay.RecipientStatus) {
	if r == nil || d.Direction == "" {
		return
	}
	for _, a := range about {
		c := history.Change{ID: d.Origin.ID, Recipient: a.Recipient.Address, Outcome: history.Failed, Cause: fault.Of(a.Err).Kind.String()}
		if fault.Of(a.Err).Detail == fault.Expired {
			c.Event = history.Event{Time: r.clock(), Kind: history.Ended, Reason: relay.ReplyFor(a.Err).Text}
		}
		r.writer.Change(c)
	}
}
