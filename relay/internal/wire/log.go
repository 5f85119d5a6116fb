package wire

import (
	"context"
	"log/slog"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Logger returns a logger whose lines say which message they are about, and
// whose: what is not known yet is left out. That is found out when a line is written,
// for most messages have a logger ready and no line.
func Logger(log *slog.Logger, env *relay.Envelope) *slog.Logger {
	return slog.New(&envelopeHandler{log.Handler(), env})
}

// envelopeHandler adds what is known of an envelope.
type envelopeHandler struct {
	slog.Handler
	env *relay.Envelope
}

// Handle implements slog.Handler.
func (h *envelopeHandler) Handle(ctx context.Context, r slog.Record) error {
	whole := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	whole.AddAttrs(envelopeAttrs(h.env)...)
	r.Attrs(func(a slog.Attr) bool {
		whole.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, whole)
}

// WithAttrs implements slog.Handler.
func (h *envelopeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.Handler.WithAttrs(envelopeAttrs(h.env)).WithAttrs(attrs)
}

// WithGroup implements slog.Handler.
func (h *envelopeHandler) WithGroup(name string) slog.Handler {
	return h.Handler.WithAttrs(envelopeAttrs(h.env)).WithGroup(name)
}

func envelopeAttrs(env *relay.Envelope) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 8), slog.String("listener", env.Listener), slog.String("id", env.ID))
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("queue_id", env.QueueID)
	add("message_id", env.MessageID)
	if env.Client.Addr.IsValid() {
		add("client", env.Client.Addr.String())
	}
	add("helo", env.Client.Helo)
	add("user", env.Client.User)
	return append(attrs, slog.String("sender", env.Sender.String()))
}

// MessageID returns the Message-ID of a message for the log and the history; "" without one.
func MessageID(m *message.Message) string {
	return shortened(escaped(relay.MessageID(m)), relay.MaxMessageID)
}

// maxTraceID is how long the id of another MTA may be.
const maxTraceID = 40

// QueueID returns the id that the MTA in front has for a message, by the ID clause (RFC 5321
// section 4.4) of its trace field, which is the second: ours stands above it. It is for the
// log only, and where XFORWARD does not tell.
func QueueID(m *message.Message) string {
	trace := m.All("Received")
	if len(trace) < 2 {
		return ""
	}
	clause := false // the word before was "id"
	for word := range strings.FieldsSeq(trace[1]) {
		if id, _, _ := strings.Cut(word, ";"); clause && isTraceID(id) {
			return id
		}
		clause = word == "id"
	}
	return ""
}

func isTraceID(s string) bool {
	other := strings.TrimLeft(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")
	return s != "" && len(s) <= maxTraceID && other == ""
}
