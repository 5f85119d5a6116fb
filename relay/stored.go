package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Stored is a message that is read in pieces while it is handed on: one that is too large
// to be in memory as a whole.
type Stored struct {
	// Header is that of the message, with the empty line that ends it.
	Header []byte
	// Size is that of the message in octets.
	Size int
	// Pieces calls each with the whole message, header included, in pieces of a megabyte at
	// most. A piece is valid until each returns. An error of each ends it and is returned.
	Pieces func(ctx context.Context, each func(piece []byte) error) error
	// Load reads the message as a whole, for those who have to change it or to return it to
	// its sender. It waits for the memory.
	Load func(ctx context.Context) (*message.Message, error)
}
