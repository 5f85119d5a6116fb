package wire

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// counting counts how often attributes are formatted for lines to come.
type counting struct {
	slog.Handler
	formatted *int
}

func (h counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	*h.formatted++
	return h.Handler.WithAttrs(attrs)
}

// What a line says of its message is found out when the line is written, not for lines
// that are not.
func TestLoggerWaitsForALine(t *testing.T) {
	var out bytes.Buffer
	formatted := 0
	base := slog.New(counting{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}), &formatted})
	env := &relay.Envelope{ID: "ID1", Listener: "door"}
	log := Logger(base, env)
	log.Info("not written", "code", 250)
	if formatted != 0 || out.Len() != 0 {
		t.Errorf("for a line that is not written attributes were formatted %d times: %s", formatted, &out)
	}
	env.QueueID = "4XYZ" // known by now
	log.Warn("written", "code", 451)
	log.With("extra", "x").Warn("another")
	log.WithGroup("g").LogAttrs(context.Background(), slog.LevelWarn, "third", slog.String("extra", "y"))
	for _, want := range []string{
		"msg=written listener=door id=ID1 queue_id=4XYZ sender=\"\" code=451", "msg=another listener=door id=ID1 queue_id=4XYZ sender=\"\" extra=x",
		"msg=third listener=door id=ID1 queue_id=4XYZ sender=\"\" g.extra=y",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s has no %s", &out, want)
		}
	}
}

// TestMessageID: what is kept of a Message-ID is what an answer repeats, whole.
func TestMessageID(t *testing.T) {
	long := "<" + strings.Repeat("x", relay.MaxMessageID-3) + "@>"
	for field, want := range map[string]string{
		"":                                   "",
		"Message-ID: <1@own.example>\r\n":    "<1@own.example>",
		"Message-ID:\r\n " + long + "\r\n":   long,
		"Message-ID: <x" + long[1:] + "\r\n": "<x" + long[1:relay.MaxMessageID-4] + "...",
		"Message-ID: <1@own.example> (added by mx)\r\n": "<1@own.example>",
		"Message-ID: 1@own.example\r\n":                 "1@own.example",
		"Message-ID: <\u00fc@own.example>\r\n":          "<\\u00fc@own.example>",
	} {
		m, err := message.Parse([]byte(field + "From: alice@own.example\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := MessageID(m); got != want {
			t.Errorf("%q: %q", field, got)
		}
	}
}

func TestQueueID(t *testing.T) {
	for trace, want := range map[string]string{
		"from c (c [192.0.2.9])\r\n\tby mx.example.org (Postfix) with ESMTP id 4XYZ-9;\r\n\tSun, 1 Mar 2026 10:00:00 +0000": "4XYZ-9",
		"by mx.example.org id 4XYZ for <x@y>; Sun, 1 Mar 2026 10:00:00 +0000":                                               "4XYZ",
		"by id.example.org with SMTP; Sun, 1 Mar 2026 10:00:00 +0000":                                                       "",
		"by mx.example.org id <no@id.example>; Sun, 1 Mar 2026 10:00:00 +0000":                                              "",
		"by mx.example.org id ; id 4XYZ; Sun, 1 Mar 2026 10:00:00 +0000":                                                    "4XYZ",
		"by mx.example.org id " + strings.Repeat("x", 41) + "; Sun, 1 Mar 2026 10:00:00 +0000":                              "",
		"by mx.example.org id": "",
		"":                     "",
	} {
		m, err := message.Parse([]byte("Received: by gw.example.com id OURS; now\r\nReceived: " + trace + "\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := QueueID(m); got != want {
			t.Errorf("%q of %q, want %q", got, trace, want)
		}
	}
}
