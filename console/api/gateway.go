// Package api is the HTTP interface to a running gateway: what the command line does with
// it, for programs and for the pages of the console. OpenAPI describes it, and the
// description is made of the code.
package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// Gateway is the running gateway.
type Gateway interface {
	// Ready returns nil while messages are taken, and else why they are not.
	Ready() error
	// Queue is the queue; nil where the configuration needs none.
	Queue() *queue.Store
	// History is what became of messages; nil, or history.ErrNone, where there is none.
	History(ctx context.Context) (*history.Store, error)
	// Use returns what the configuration in use made. Call release when done with it.
	Use() (p Parts, release func())
	// Reload applies the configuration file, or says what is wrong with it
	// (config.Problems) and changes nothing.
	Reload(ctx context.Context) error
	// Check says what is wrong with the text of a configuration file, and what is
	// allowed and probably not meant.
	Check(ctx context.Context, text []byte) (problems, warnings config.Problems, err error)
}

// Parts are what a configuration describes, as far as it is shown.
type Parts struct {
	Config    *config.Config
	Store     *store.Store
	Checker   certs.Checker
	Directory *directory.Directory
	Gateway   *gateway.Gateway
	// Expiring returns the identities and CAs that expire within a time and have no
	// successor, the first first; 0 is the longest time of expiry.warn_before.
	Expiring func(ctx context.Context, within time.Duration) ([]Expiring, error)
	// Authorities returns the built-in CAs; none where there is no CA.
	Authorities func(ctx context.Context) ([]Authority, error)
}

// Expiring is an identity, or a CA, that expires.
type Expiring struct {
	SHA256    string    `json:"sha256"`
	Subject   string    `json:"subject"`
	Addresses []string  `json:"addresses"`
	NotAfter  time.Time `json:"not_after"`
	Place     string    `json:"place" doc:"Where its key is: the store, a file or a token."`
	Authority bool      `json:"authority" doc:"Whether it is the built-in CA."`
}

// Authority is a built-in CA and what it publishes.
type Authority struct {
	Name      string    `json:"name" doc:"root, issuing, issuing-2, ..."`
	Subject   string    `json:"subject"`
	SHA256    string    `json:"sha256"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	HasKey    bool      `json:"has_key"`
	Revoked   bool      `json:"revoked"`
	Domains   []string  `json:"domains,omitempty"`
	URLs      []string  `json:"urls" doc:"Where partners fetch its certificate and its CRL."`
	CRL       *CRL      `json:"crl,omitempty"`
}

// CRL is a revocation list.
type CRL struct {
	Number     string    `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Revoked    int       `json:"revoked"`
}

// Operations are what can be done with a gateway: each method is an operation of the API,
// and the pages of the console call the same. Who calls is in the context (WithActor); that
// it may has been checked before, by the role that the operation is registered with.
type Operations struct {
	Gateway Gateway
	Access  *access.Store
	Version string
	Clock   func() time.Time
	Log     *slog.Logger

	// slots holds a value for each operation under way that asks directories or parses
	// messages; others wait.
	slots chan struct{}
}

// parallel is how many such operations run at once: they share the processor with mail.
const parallel = 2

// New returns the operations on a gateway.
func New(o Operations) *Operations {
	o.slots = make(chan struct{}, parallel)
	return &o
}

// begin waits for a slot.
func (o *Operations) begin(ctx context.Context) (end func(), err error) {
	select {
	case o.slots <- struct{}{}:
		return func() { <-o.slots }, nil
	case <-ctx.Done():
		return nil, o.problem(ctx, ctx.Err())
	}
}

type actorKey struct{}

// WithActor returns a context of a call by an actor.
func WithActor(ctx context.Context, a access.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

func actor(ctx context.Context) access.Actor {
	a, _ := ctx.Value(actorKey{}).(access.Actor)
	return a
}
