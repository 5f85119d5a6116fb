package service

import (
	"context"
	"encoding/hex"
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
	place    history.Place
	writer   *history.Writer
	clock    func() time.Time
	refusals refusals

	mu      sync.Mutex
	decided map[string][]history.Row // by the ID of the envelope
	// answering are the rows of which the answer is being noted, on the way from decided to
	// the writer.
	answering map[string][]history.Row
}

// mostDecided bounds the messages that wait for their answer. Those whose client went away
// have none, and leave with the others when there are so many.
const mostDecided = 10_000

// newRecorder begins to record at a place, by a clock.
func newRecorder(place history.Place, clock func() time.Time, c history.WriterConfig) *recorder {
	c.Open = func(ctx context.Context) (*history.Store, error) { return history.Open(ctx, place) }
	return &recorder{
		place: place, clock: clock, writer: history.NewWriter(c),
		decided: map[string][]history.Row{}, answering: map[string][]history.Row{},
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
		r = newRecorder(place, s.options.Clock, history.WriterConfig{
			Limits: s.historyLimits, Clock: s.options.Clock, Log: s.log,
			Dropped: func(n int) { s.metrics.HistoryDropped.Add(float64(n)) },
		})
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
	r.flushLocked()
}

func (r *recorder) flushLocked() {
	for _, rows := range r.decided {
		r.writer.Put(rows...)
	}
	clear(r.decided)
}

// hidSubject looks for messages in the history: see gateway.Config. A message may be answered
// before its rows are written, by a program at once: they are looked for on the way that they
// go, and so are in one of the places.
func (r *recorder) hidSubject(ctx context.Context, messageIDs []string) (bool, error) {
	if r == nil {
		return false, nil
	}
	if r.waitingHid(messageIDs) {
		return true, nil
	}
	return r.writer.HidSubject(ctx, messageIDs)
}

// waitingHid looks for the messages among those whose client is not answered yet.
func (r *recorder) waitingHid(messageIDs []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, waiting := range []map[string][]history.Row{r.decided, r.answering} {
		for _, rows := range waiting {
			if history.AnyHidSubject(rows, messageIDs) {
				return true
			}
		}
	}
	return false
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

// wait keeps a row until the client is answered. All rows of a message have one time: those
// who read it again (history.Store.Decisions) have them together by it.
func (r *recorder) wait(row history.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := r.decided[row.ID]
	switch {
	case len(rows) > 0:
		row.Time = rows[0].Time
	case len(r.decided) >= mostDecided:
		r.flushLocked()
	}
	r.decided[row.ID] = append(rows, row)
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
	t := d.Treatment
	row.Protection, row.Result, row.Encryption, row.Cipher, row.HiddenSubject = t.Protection, t.Result, t.Encryption, t.Cipher, t.HiddenSubject
	for _, fp := range d.Certificates {
		row.Certificates = append(row.Certificates, hex.EncodeToString(fp[:]))
	}
	row.Stages = make([]history.Stage, len(d.Stages))
	for i, s := range d.Stages {
		row.Stages[i] = history.Stage(s)
	}
	row.Facts, row.Decided = d.Facts, d.Decided
	row.ProtectedID = d.ProtectedID
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
	rows := r.take(t.Envelope.ID)
	defer r.written(t.Envelope.ID)
	find := finder(rows)
	for i, to := range t.Envelope.Recipients {
		if n, ok := find(i, to.Address); ok {
			r.answer(&rows[n], t, i)
		} else if err := t.Answer(i); err != nil || t.Decided == nil || t.Decided.Recipients[i].Kind == relay.Returned {
			// Else it is a group, and its members have rows.
			row := r.row(t.Envelope, to.Address, direction(t.Envelope, to.Address))
			if len(rows) > 0 {
				row.Time = rows[0].Time
			}
			r.answer(&row, t, i)
			rows = append(rows, row)
		}
	}
	r.answerMembers(rows, t)
	r.writer.Put(rows...)
}

// finder finds the row of a recipient of an envelope, first at the same index: most messages have a
// row for each recipient, in their order.
func finder(rows []history.Row) func(i int, to address.Address) (n int, ok bool) {
	var at map[string]int
	return func(i int, to address.Address) (n int, ok bool) {
		if i < len(rows) && rows[i].Recipient == to {
			return i, true
		}
		if at == nil {
			at = make(map[string]int, len(rows))
			for n := range rows {
				at[relay.Key(rows[n].Recipient)] = n
			}
		}
		n, ok = at[relay.Key(to)]
		return n, ok
	}
}

// answerMembers notes the errors that the client was answered for groups, in the rows of members
// whom the envelope does not name.
func (r *recorder) answerMembers(rows []history.Row, t relay.Tally) {
	var named map[string]int
	for i := range rows {
		if rows[i].Facts == nil || len(rows[i].Facts.Recipients[0].Through) == 0 {
			continue
		}
		if named == nil {
			named = make(map[string]int, len(t.Envelope.Recipients))
			for n, to := range t.Envelope.Recipients {
				named[relay.Key(to.Address)] = n
			}
		}
		if _, ok := named[relay.Key(rows[i].Recipient)]; ok {
			continue
		}
		for _, through := range rows[i].Facts.Recipients[0].Through {
			if n, ok := named[relay.Key(through)]; ok && t.Answer(n) != nil {
				r.answer(&rows[i], t, n)
			}
		}
	}
}

// take takes the rows of a message out of those that wait for its answer, until written.
func (r *recorder) take(id string) []history.Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := r.decided[id]
	delete(r.decided, id)
	if len(rows) > 0 {
		r.answering[id] = rows
	}
	return rows
}

// written forgets rows that were taken: the writer has them.
func (r *recorder) written(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answering, id)
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
	r.refuse(row, err)
}

// refuse notes the error that the client was answered.
func (r *recorder) refuse(row *history.Row, err error) {
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
	row.Events = append(row.Events, history.Event{Time: r.clock(), Kind: history.Answered, Reply: relay.ReplyFor(err).String()})
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
func (r *recorder) attempted(d relay.Delivery, errs []error, replies map[address.Address]*history.Event, queued bool) {
	if r == nil || d.Direction == "" { // a message of the gateway's own
		return
	}
	for i, err := range errs {
		if relay.Untried(err) {
			continue
		}
		to := d.Recipients[i].Address
		c := history.Change{ID: d.Origin.ID, Recipient: to}
		if reply, ok := replies[to]; ok {
			c.Event = *reply
		}
		c.Event.Time, c.Event.Kind = r.clock(), history.Attempt
		if err != nil {
			c.Event.Reason = err.Error()
			if f := fault.Of(err); f.Reply.Code != 0 {
				c.Event.Host, c.Event.Reply, c.Event.Reason = f.Host, f.Reply.String(), ""
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
