package history

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/smime/address"
)

// storedRow is what of a row has no column of its own.
type storedRow struct {
	Client        string          `json:"client,omitempty"`
	Helo          string          `json:"helo,omitempty"`
	User          string          `json:"user,omitempty"`
	TLS           bool            `json:"tls,omitempty"`
	Sender        address.Address `json:"sender"`
	Recipient     address.Address `json:"recipient"`
	Size          int64           `json:"size,omitempty"`
	Line          int             `json:"line,omitempty"`
	Decided       string          `json:"decided,omitempty"`
	Steps         []string        `json:"steps,omitempty"`
	Reason        string          `json:"reason,omitempty"`
	Cause         string          `json:"cause,omitempty"`
	Protection    string          `json:"protection,omitempty"`
	Result        string          `json:"result,omitempty"`
	Encryption    string          `json:"encryption,omitempty"`
	Certificates  []string        `json:"certificates,omitempty"`
	Cipher        string          `json:"cipher,omitempty"`
	HiddenSubject bool            `json:"hidden_subject,omitempty"`
	Stages        []Stage         `json:"stages,omitempty"`
	Events        []Event         `json:"events,omitempty"`
	EventsOmitted int             `json:"left,omitempty"`
}

// columns are those that a search reads.
const columns = `seq, time, id, queue_id, message_id, listener, direction, rule, outcome, protected_id, data`

// maxText bounds what peers say, in octets: a row is not longer for what they send.
const maxText = 2000

// text is a text of another program as both databases keep it.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return postgresdb.Text(s)
}

// bare is a Message-ID without what it stands in.
func bare(messageID string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(messageID), "<"), ">")
}

// key is by what an address is searched.
func key(a address.Address) string { return text(a.Key(address.IgnoreCase)) }

// clean makes the texts of a row fit to be stored.
func (r *Row) clean() {
	for _, s := range []*string{&r.ID, &r.QueueID, &r.Listener, &r.Client, &r.Helo, &r.User, &r.Direction, &r.Rule, &r.Reason} {
		*s = text(*s)
	}
	r.MessageID, r.ProtectedID = text(bare(r.MessageID)), text(bare(r.ProtectedID))
	for i, e := range r.Events {
		if e.clean(); e != r.Events[i] {
			r.Events = slices.Clone(r.Events) // others may have these
			r.Events[i] = e
		}
	}
}

func (e *Event) clean() {
	for _, s := range []*string{&e.Host, &e.Reply, &e.Reason, &e.By} {
		*s = text(*s)
	}
}

// stored is what is in the column data.
func (r *Row) stored() storedRow {
	return storedRow{
		Client: r.Client, Helo: r.Helo, User: r.User, TLS: r.TLS, Sender: r.Sender, Recipient: r.Recipient, Size: r.Size,
		Line: r.Line, Decided: r.Decided, Steps: r.Steps, Reason: r.Reason, Cause: r.Cause, Protection: r.Protection, Result: r.Result,
		Encryption: r.Encryption, Certificates: r.Certificates, Cipher: r.Cipher, HiddenSubject: r.HiddenSubject, Stages: r.Stages, Events: r.Events, EventsOmitted: r.EventsOmitted,
	}
}

// encode returns what is in the columns data and facts. The text is made in j, which may have
// been used before.
func (r *Row) encode(j *jsonText) (data, facts string, err error) {
	j.b = j.b[:0]
	stored := r.stored()
	stored.write(j)
	n := len(j.b)
	if f, ok := r.storedFacts(); ok {
		f.write(j)
	}
	both := string(j.b)
	return both[:n], both[n:], j.err
}

// write writes it as JSON.
func (s *storedRow) write(j *jsonText) {
	j.begin('{')
	j.textField("client", s.Client)
	j.textField("helo", s.Helo)
	j.textField("user", s.User)
	j.flagField("tls", s.TLS)
	j.key("sender")
	j.address(s.Sender)
	j.key("recipient")
	j.address(s.Recipient)
	j.numberField("size", s.Size)
	j.numberField("line", int64(s.Line))
	j.textField("decided", s.Decided)
	listField(j, "steps", s.Steps, (*jsonText).text)
	j.textField("reason", s.Reason)
	j.textField("cause", s.Cause)
	j.textField("protection", s.Protection)
	j.textField("result", s.Result)
	j.textField("encryption", s.Encryption)
	listField(j, "certificates", s.Certificates, (*jsonText).text)
	j.textField("cipher", s.Cipher)
	j.flagField("hidden_subject", s.HiddenSubject)
	listField(j, "stages", s.Stages, (*jsonText).stage)
	listField(j, "events", s.Events, (*jsonText).event)
	j.numberField("left", int64(s.EventsOmitted))
	j.end('}')
}

func (j *jsonText) stage(s Stage) {
	j.begin('{')
	j.key("name")
	j.text(s.Name)
	j.key("nanoseconds")
	j.number(int64(s.Took))
	j.end('}')
}

func (j *jsonText) event(e Event) {
	j.begin('{')
	j.key("time")
	j.time(e.Time)
	j.key("kind")
	j.text(string(e.Kind))
	j.numberField("attempt", int64(e.Attempt))
	j.textField("host", e.Host)
	j.textField("reply", e.Reply)
	j.textField("reason", e.Reason)
	j.textField("by", e.By)
	j.end('}')
}

// scanner is a row of a result.
type scanner interface{ Scan(...any) error }

// scan reads the columns, and what more is asked for.
func scan(from scanner, more ...any) (seq int64, r Row, err error) {
	var at int64
	var data string
	err = from.Scan(append([]any{&seq, &at, &r.ID, &r.QueueID, &r.MessageID, &r.Listener, &r.Direction, &r.Rule, &r.Outcome, &r.ProtectedID, &data}, more...)...)
	if err != nil {
		return 0, Row{}, err
	}
	r.Time = time.UnixMilli(at).UTC()
	var s storedRow
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		return 0, Row{}, err
	}
	r.Client, r.Helo, r.User, r.TLS, r.Sender, r.Recipient, r.Size = s.Client, s.Helo, s.User, s.TLS, s.Sender, s.Recipient, s.Size
	r.Line, r.Decided, r.Steps, r.Reason, r.Cause, r.Protection, r.Result = s.Line, s.Decided, s.Steps, s.Reason, s.Cause, s.Protection, s.Result
	r.Encryption, r.Certificates, r.Cipher, r.HiddenSubject = s.Encryption, s.Certificates, s.Cipher, s.HiddenSubject
	r.Stages, r.Events, r.EventsOmitted = s.Stages, s.Events, s.EventsOmitted
	return seq, r, nil
}
