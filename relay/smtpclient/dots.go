package smtpclient

import (
	"bytes"
	"context"
	"io"
)

// writeDotted writes text as the data of a message: a dot before each line that
// begins with one, and the final dot (RFC 5321 section 4.5.2). text has no bare
// CR or LF, so that nothing in it can be taken for an end.
func writeDotted(w io.Writer, text []byte) error {
	rest := text
	if bytes.HasPrefix(rest, []byte(".")) {
		if _, err := w.Write([]byte(".")); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(rest, []byte("\r\n."))
		if i < 0 {
			break
		}
		if _, err := w.Write(rest[:i+3]); err != nil {
			return err
		}
		rest = rest[i+2:] // its dot again
	}
	if _, err := w.Write(rest); err != nil {
		return err
	}
	end := "\r\n.\r\n"
	if len(text) == 0 || bytes.HasSuffix(text, []byte("\r\n")) {
		end = ".\r\n"
	}
	if _, err := io.WriteString(w, end); err != nil {
		return err
	}
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
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
