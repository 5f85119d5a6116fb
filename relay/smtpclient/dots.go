package smtpclient

import (
	"bytes"
	"context"
	"io"
)

// writeDotted writes a message in pieces that begin with a line each: a dot before
// each line that begins with one, and the final dot (RFC 5321 section 4.5.2). They
// have no bare CR or LF, so that nothing in them can be taken for an end.
func writeDotted(w io.Writer, pieces ...[]byte) error {
	end := ".\r\n"
	for _, text := range pieces {
		if len(text) == 0 {
			continue
		}
		if err := writeLines(w, text); err != nil {
			return err
		}
		if end = ".\r\n"; !bytes.HasSuffix(text, []byte("\r\n")) {
			end = "\r\n.\r\n"
		}
	}
	if _, err := io.WriteString(w, end); err != nil {
		return err
	}
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// writeLines writes lines with their dots doubled.
func writeLines(w io.Writer, text []byte) error {
	if bytes.HasPrefix(text, []byte(".")) {
		if _, err := w.Write([]byte(".")); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(text, []byte("\r\n."))
		if i < 0 {
			_, err := w.Write(text)
			return err
		}
		if _, err := w.Write(text[:i+3]); err != nil {
			return err
		}
		text = text[i+2:] // its dot again
	}
}

// bareLineEnd reports a CR without LF or an LF without CR.
func bareLineEnd(text []byte) bool {
	pairs := bytes.Count(text, []byte("\r\n"))
	return bytes.Count(text, []byte("\n")) != pairs || bytes.Count(text, []byte("\r")) != pairs
}

// blockWriter gives each block of data its time.
type blockWriter struct {
	h   *hop
	ctx context.Context //nolint:containedctx // io.Writer takes none; it lives for one message
}

// block is how much the hop must take in one time-out.
const block = 256 << 10

func (w *blockWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if err := w.h.allow(w.ctx, w.h.client.timeouts.block); err != nil {
			return done, err
		}
		n, err := w.h.w.Write(p[done:min(len(p), done+block)])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (w *blockWriter) Flush() error { return w.h.w.Flush() }
