package observe

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
)

// fieldPrefix begins the fields of the journal that are attributes: MESSAGE_ID and others
// mean something else to systemd.
const fieldPrefix = "SMIMERELAY_"

// isJournal reports whether what is written to w becomes lines of systemd's journal.
func isJournal(w io.Writer) bool {
	if w != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// sender hands an entry to the journal.
type sender func(text string, priority journal.Priority, fields map[string]string) error

// journalHandler hands each line to the journal in its native protocol: with the priority of
// its level, and its attributes as fields. What the journal does not take is written to the
// standard error, which is the journal's stream.
type journalHandler struct {
	out    *journalOutput
	lines  slog.Handler // writes to out.line
	fields map[string]string
	group  string
}

// journalOutput is shared by all handlers of a logger.
type journalOutput struct {
	mu   sync.Mutex
	line bytes.Buffer
	send sender
	rest io.Writer
}

// newJournalHandler returns a handler whose lines are made by the handler that lines returns
// for a writer.
func newJournalHandler(rest io.Writer, send sender, lines func(io.Writer) slog.Handler) *journalHandler {
	out := &journalOutput{send: send, rest: rest}
	return &journalHandler{out: out, lines: lines(&out.line)}
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.lines.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "smimerelay"}
	maps.Copy(fields, h.fields)
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.group, a)
		return true
	})
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	if err := h.lines.Handle(ctx, r); err != nil {
		return err
	}
	text := strings.TrimSuffix(h.out.line.String(), "\n")
	if h.out.send(text, priority(r.Level), fields) == nil {
		return nil
	}
	_, err := h.out.rest.Write(h.out.line.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.lines = h.lines.WithAttrs(attrs)
	with.fields = map[string]string{}
	maps.Copy(with.fields, h.fields)
	for _, a := range attrs {
		addField(with.fields, h.group, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.lines, with.group = h.lines.WithGroup(name), h.group+name+"_"
	return &with
}

func addField(fields map[string]string, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "_"
		}
		for _, inner := range v.Group() {
			addField(fields, group, inner)
		}
		return
	}
	if a.Key != "" {
		fields[fieldPrefix+strings.Map(fieldRune, group+a.Key)] = v.String()
	}
}

// fieldRune returns what stands for r in the name of a field: capital letters, digits and
// underscores are allowed.
func fieldRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return r
	}
	return '_'
}

// priority is that of syslog for a level.
func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
