package token

import (
	"errors"
	"net"
	"testing"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// A helper that refuses to open a token answers and ends: what it said must not be lost to the
// news that it ended.
func TestAnswerBeforeTheEnd(t *testing.T) {
	refusal := contract.Errorf(contract.Refused, "no such library")
	for range 500 {
		ours, theirs := net.Pipe()
		go func() {
			_ = contract.Serve(theirs, theirs, func(string) (contract.Holder, error) { return nil, refusal })
			_ = theirs.Close()
		}()
		c := newConn(ours)
		_, err := c.call(contract.Request{Operation: contract.Open, Version: contract.Version, Token: "x"}, nil)
		c.close()
		if errors.Is(err, errLost) || contract.KindOf(err) != contract.Refused {
			t.Fatalf("%v", err)
		}
	}
}
