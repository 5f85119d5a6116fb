package smtpclient

import (
	"errors"
	"fmt"
	"io"
)

// chunks reports whether the hop gets a message by BDAT (RFC 3030): in one piece whose
// length is said before, so that nothing in it can be taken for its end. LMTP does without:
// RFC 2033 says how often the final dot is answered.
func (h *hop) chunks() bool {
	return h.offers("CHUNKING") && !h.client.config.NoChunking && !h.client.config.LMTP
}

// errSize is the error for a message that is not as long as it was said to be.
var errSize = errors.New("the message has another size than is noted of it")

// writeChunk writes BDAT with a message of size octets, which like that of DATA ends with a
// line end; ended says that it has one. Not one octet more than was said follows: the hop
// would take it for a command.
func writeChunk(w io.Writer, size int, ended bool, pieces func(each func([]byte) error) error) error {
	end := ""
	if !ended {
		end = "\r\n"
	}
	if _, err := fmt.Fprintf(w, "BDAT %d LAST\r\n", size+len(end)); err != nil {
		return err
	}
	left := size
	err := pieces(func(p []byte) error {
		if left -= len(p); left < 0 {
			return errSize
		}
		_, err := w.Write(p)
		return err
	})
	if err == nil && left > 0 {
		err = errSize
	}
	if err == nil {
		_, err = io.WriteString(w, end)
	}
	return err
}
