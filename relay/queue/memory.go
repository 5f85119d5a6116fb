package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/relay"
)

// deliveryFactor is how many times its size a message takes while it is delivered:
// itself, and one that is converted for the next hop or returned in a report.
const deliveryFactor = 2

// piecesMemory is what a message that is read in pieces takes: some pieces, and what the
// database's driver leaves behind of others.
const piecesMemory = 8 * partSize

// needsMemory is the error for a message that is not read yet: there is no memory for
// it now.
type needsMemory struct{ octets int64 }

func (e *needsMemory) Error() string { return fmt.Sprintf("%d octets of memory are needed", e.octets) }

// withMemory reads something by load, which asks share for the memory. Where there is
// none load is called again when there is: to wait within its transaction would keep
// all others from the store.
func withMemory[T any](ctx context.Context, share *relay.Share, load func(*relay.Share) (T, error)) (T, error) {
	read, err := load(share)
	needs, ok := errors.AsType[*needsMemory](err)
	if !ok {
		return read, err
	}
	if err := share.Wait(ctx, needs.octets); err != nil {
		return read, err
	}
	return load(nil)
}

// reserve takes the memory for a message that is about to be read.
func reserve(share *relay.Share, octets int64) error {
	if !share.Reserve(octets) {
		return &needsMemory{octets}
	}
	return nil
}
