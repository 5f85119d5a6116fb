package store

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/internal/background"
)

// claimGrace is how much longer than its caller the writing of a claim may take.
const claimGrace = 5 * time.Second

// claiming is the context in which a claim is written: that this process, and no other, makes an
// attempt or sends a notice. If the write is broken off, the claim may have been stored all the
// same, and then no process makes the attempt, or sends the notice ever.
func claiming(ctx context.Context) (context.Context, context.CancelFunc) {
	return background.Linger(ctx, claimGrace)
}
