package contract

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/smimerelay/smimerelay/internal/printable"
)

// Holder holds keys, or reaches what does. Its methods are called at once by several
// goroutines. Their errors are of type *Error; all others count as Unavailable.
type Holder interface {
	List() (Inventory, error)
	Ready(key string) error
	Sign(key string, a Algorithm, digest []byte) ([]byte, error)
	Decrypt(key string, a Algorithm, ciphertext []byte) ([]byte, error)
	Derive(key string, a Algorithm, point []byte) ([]byte, error)
	Generate(kind Scheme, id, label []byte) (Key, error)
}

// maxText limits the text of an error on the wire, in octets.
const maxText = 1024

// errProtocol is wrapped by errors of Serve that are the gateway's fault.
var errProtocol = errors.New("not the contract")

// Serve speaks the contract with a gateway until that closes its side, which is no
// error: it reads requests from r and writes responses to w. open is called once, with
// the token that the gateway names. What is under way at the end is not waited for.
func Serve(r io.Reader, w io.Writer, open func(token string) (Holder, error)) error {
	s := &server{w: w}
	holder, err := s.open(r, open)
	if err != nil || holder == nil {
		return err
	}
	places := make(chan struct{}, MaxPending)
	for {
		q, err := readRequest(r)
		switch {
		case errors.Is(err, io.EOF):
			return s.failed()
		case err != nil:
			return fmt.Errorf("%w: %w", errProtocol, err)
		}
		places <- struct{}{} // who asks for more at once waits
		go func() {
			defer func() { <-places }()
			s.answer(q.ID, func() (Response, error) { return perform(holder, q) })
		}()
	}
}

type server struct {
	mu  sync.Mutex
	w   io.Writer
	err error // why w cannot be written to
}

func (s *server) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// open answers the first request. The holder is nil if that was refused.
func (s *server) open(r io.Reader, open func(string) (Holder, error)) (holder Holder, err error) {
	q, err := readRequest(r)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil && q.Operation != Open {
		err = fmt.Errorf("begins with %q", q.Operation)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	s.answer(q.ID, func() (Response, error) {
		if q.Version != Version {
			return Response{}, Errorf(Refused, "version %d of the contract is spoken here, not %d; install gateway and helper of the same version", Version, q.Version)
		}
		h, err := open(q.Token)
		if err == nil {
			holder = h
		}
		return Response{}, err
	})
	return holder, s.failed()
}

// answer writes what f returns.
func (s *server) answer(id uint64, f func() (Response, error)) {
	a, err := f()
	if err != nil {
		a = Response{Error: &Error{KindOf(err), printable.Clip(err.Error(), maxText)}}
	}
	a.ID = id
	s.mu.Lock()
	defer s.mu.Unlock()
	err = writeResponse(s.w, a)
	if errors.Is(err, errTooLong) {
		err = writeResponse(s.w, Response{ID: id, Error: Errorf(Refused, "the answer is too long for the contract: %w", err)})
	}
	if s.err == nil {
		s.err = err
	}
}

func perform(h Holder, q Request) (a Response, err error) {
	switch q.Operation {
	case List:
		a.Inventory, err = h.List()
	case Ready:
		err = h.Ready(q.Key)
	case Sign:
		a.Data, err = h.Sign(q.Key, q.Algorithm, q.Data)
	case Decrypt:
		a.Data, err = h.Decrypt(q.Key, q.Algorithm, q.Data)
	case Derive:
		a.Data, err = h.Derive(q.Key, q.Algorithm, q.Data)
	case Generate:
		var made Key
		if made, err = h.Generate(q.Scheme, q.Data, q.Label); err == nil {
			a.Keys = []Key{made}
		}
	default:
		err = Errorf(Unsupported, "no operation %q", q.Operation)
	}
	return a, err
}
