package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/address"
)

// replyKey is under which a context has what to do with replies.
type replyKey struct{}

// WithReplies has those who deliver with ctx tell of each recipient for whom a next hop
// took the message, and by which reply: its own log continues there. tell may be called
// from several goroutines.
func WithReplies(ctx context.Context, tell func(to address.Address, host, reply string)) context.Context {
	return context.WithValue(ctx, replyKey{}, tell)
}

// TellReply tells of a recipient for whom a next hop took the message.
func TellReply(ctx context.Context, to address.Address, host, reply string) {
	if tell, ok := ctx.Value(replyKey{}).(func(address.Address, string, string)); ok {
		tell(to, host, reply)
	}
}
