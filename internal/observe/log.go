// Package observe is how the program is watched from outside: the log, the
// metrics and the small HTTP server that shows them. What a metric means is
// said where it is declared, and nowhere else.
package observe

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/smimerelay/smimerelay/internal/printable"
)

// NewLogger returns the logger for a level ("debug", "info", "warn", "error")
// and a format ("text", "json"), and the level, which may be changed later. If w is the
// standard error and that is systemd's journal, lines have a priority and fields there.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, *slog.LevelVar, error) {
	var l slog.LevelVar
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("log level %q: unknown", level)
	}
	o := &slog.HandlerOptions{Level: &l}
	var lines func(io.Writer) slog.Handler
	switch format {
	case "text":
		lines = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, o) }
	case "json":
		lines = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(printable.JSON(w), o) }
	default:
		return nil, nil, fmt.Errorf("log format %q: unknown", format)
	}
	if isJournal(w) {
		return slog.New(newJournalHandler(w, journal.Send, lines)), &l, nil
	}
	return slog.New(lines(w)), &l, nil
}
