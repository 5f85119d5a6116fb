package contract

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

var (
	errTooLong  = errors.New("frame is too long")
	errEmpty    = errors.New("frame is empty")
	errTrailing = errors.New("frame has data after its object")
	errTooMany  = errors.New("too many keys or certificates")
)

// readFrame reads one frame of at most limit octets into value. io.EOF means that the
// other side closed between two frames.
func readFrame(r io.Reader, limit uint32, value any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > limit {
		return fmt.Errorf("%w: %d octets", errTooLong, n)
	}
	// Memory grows with what arrives, not with what was announced.
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && uint32(len(body)) < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err == io.EOF {
		return errEmpty // not the end of the connection
	} else if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// writeFrame writes value as one frame, by one call.
func writeFrame(w io.Writer, limit int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if len(body) > limit {
		return fmt.Errorf("%w: %d octets", errTooLong, len(body))
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// WriteRequest writes a request.
func WriteRequest(w io.Writer, q Request) error { return writeFrame(w, maxRequest, q) }

// readRequest reads a request.
func readRequest(r io.Reader) (q Request, err error) {
	return q, readFrame(r, maxRequest, &q)
}

// writeResponse writes a response.
func writeResponse(w io.Writer, a Response) error { return writeFrame(w, maxResponse, a) }

// ReadResponse reads a response.
func ReadResponse(r io.Reader) (a Response, err error) {
	err = readFrame(r, maxResponse, &a)
	if err == nil && max(len(a.Keys), len(a.Certificates)) > maxKeys {
		err = errTooMany
	}
	return a, err
}
