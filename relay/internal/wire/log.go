package wire

import (
	"log/slog"
	"regexp"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
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
	id := strings.TrimSpace(m.Get("Message-ID"))
	if id != "" {
		id = Printable(id)
	}
	return shortened(id, maxMessageID)
}

// traceID is the ID clause of a trace field (RFC 5321 section 4.4).
var traceID = regexp.MustCompile(`\sid\s+([0-9A-Za-z-]{1,40})[\s;]`)

// QueueID returns the id that the MTA in front has for a message, by its trace
// field, which is the second: ours stands above it. It is for the log only, and
// where XFORWARD does not tell.
func QueueID(m *message.Message) string {
	trace := m.All("Received")
	if len(trace) < 2 {
		return ""
	}
	found := traceID.FindStringSubmatch(trace[1])
	if found == nil {
		return ""
	}
	return found[1]
}
