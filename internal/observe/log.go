// Package observe is how the program is watched from outside: the log, the
// metrics and the small HTTP server that shows them. What a metric means is
// said where it is declared, and nowhere else.
package observe

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/smimerelay/smimerelay/internal/printable"
)

// NewLogger returns the logger for a level ("debug", "info", "warn", "error")
// and a format ("text", "json"), and the level, which may be changed later.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, *slog.LevelVar, error) {
	var l slog.LevelVar
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("log level %q: unknown", level)
	}
	o := &slog.HandlerOptions{Level: &l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), &l, nil
	case "json":
		return slog.New(slog.NewJSONHandler(printable.JSON(w), o)), &l, nil
	}
	return nil, nil, fmt.Errorf("log format %q: unknown", format)
}
