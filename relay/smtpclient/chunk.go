package smtpclient

import (
	"bytes"
	"fmt"
	"io"
)

// chunks reports whether the hop gets a message by BDAT (RFC 3030): in one piece whose
// length is said before, so that nothing in it can be taken for its end. LMTP does without:
// RFC 2033 says how often the final dot is answered.
func (h *hop) chunks() bool {
	return h.offers("CHUNKING") && !h.client.config.NoChunking && !h.client.config.LMTP
}

// writeChunk writes BDAT with a message, which like that of DATA ends with a line end.
func writeChunk(w io.Writer, head, body []byte) error {
	end, last := "", body
	if len(body) == 0 {
		last = head
	}
	if !bytes.HasSuffix(last, []byte("\r\n")) {
		end = "\r\n"
	}
	if _, err := fmt.Fprintf(w, "BDAT %d LAST\r\n", len(head)+len(body)+len(end)); err != nil {
		return err
	}
	for _, piece := range [][]byte{head, body, []byte(end)} {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
