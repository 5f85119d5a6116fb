package wire

import (
	"log/slog"

	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/relay"
)

// Logger returns a logger whose lines say which message they are about, and
// whose: what is not known yet is left out.
func Logger(log *slog.Logger, env *relay.Envelope) *slog.Logger {
	attrs := []any{"listener", env.Listener, "id", env.ID}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, key, value)
		}
	}
	add("queue_id", env.QueueID)
	add("message_id", env.MessageID)
	if env.Client.Addr.IsValid() {
		add("client", env.Client.Addr.String())
	}
	add("helo", env.Client.Helo)
	add("user", env.Client.User)
	return log.With(append(attrs, "sender", env.Sender.String())...)
}

// maxMessageID keeps a line of the log readable.
const maxMessageID = 200

// MessageID returns the Message-ID of a message for the log; "" without one.
func MessageID(m *message.Message) string {
	id := Printable(m.Get("Message-ID"))
	return shortened(id, maxMessageID)
}
