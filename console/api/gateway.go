// Package api is the HTTP interface to a running gateway: what the command line does with
// it, for programs and for the pages of the console. OpenAPI describes it, and the
// description is made of the code.
package api

import (
	"context"
	"crypto/x509"
	"fmt"
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
	"github.com/smimerelay/smimerelay/smime/address"
)

// Gateway is the running gateway.
type Gateway interface {
	// Ready returns nil while messages are taken, and else why they are not.
	Ready() error
	// Queue is the queue; nil where the configuration needs none.
	Queue() *queue.Store
	// Directories are those that were asked since the start, by name.
	Directories() []Directory
	// Loaded is when the configuration in use was loaded, and when a reload failed since; zero
	// is never.
	Loaded() (at, failed time.Time)
	// History is what became of messages; nil, or history.ErrNone, where there is none.
	History(ctx context.Context) (*history.Store, error)
	// Use returns what the configuration in use made. Call release when done with it.
	Use() (p Parts, release func())
	// Reload applies the configuration file, or says what is wrong with it
	// (config.Problems) and changes nothing.
	Reload(ctx context.Context) error
	// Check says what is wrong with the text of a configuration file, and what is
	// allowed and probably not meant, by the text alone: nothing that it names is opened,
	// run or connected to.
	Check(text []byte) (problems, warnings config.Problems)
	// Rules compiles the rules and partners of the text of a configuration file, by the
	// text alone: a rule that names a file is a problem.
	Rules(text []byte) (history.Rules, config.Problems)
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
	// Revocation returns what is known of revocation lists and OCSP.
	Revocation func() RevocationState
	// Authorities returns the built-in CAs; none where there is no CA.
	Authorities func(ctx context.Context) ([]Authority, error)
	// Issue has the built-in CA issue for an address and returns the certificates, whose keys
	// are in the store. Revoke revokes a certificate of it for good and publishes that. What
	// the client asked for and cannot have is a Refused.
	Issue  func(ctx context.Context, o Issue) ([]*x509.Certificate, error)
	Revoke func(ctx context.Context, cert *x509.Certificate, reason string) error
}

// Refused is an error that the client may read: what it asked for is not possible.
type Refused struct{ Why error }

// Error implements error.
func (r Refused) Error() string { return r.Why.Error() }

// Issue is what the built-in CA is to issue.
type Issue struct {
	Address  address.Address
	Key      string // "" is that of the configuration
	Days     int    // 0 is those of the configuration
	Separate bool
	Again    bool // also if the address has a valid certificate
}

// Directory is how a directory answered since the gateway was started.
type Directory struct {
	Name         string    `json:"name"`
	Asked        time.Time `json:"asked" doc:"When it was asked last."`
	Milliseconds float64   `json:"milliseconds" doc:"How long it took then, with the checks of the certificates."`
	Error        string    `json:"error,omitempty" doc:"Why it did not answer then."`
	Answered     int64     `json:"answered" doc:"How often it answered since the start."`
	Failed       int64     `json:"failed" doc:"How often it did not."`
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

// RevocationState is what is known of whether certificates are revoked.
type RevocationState struct {
	Lists     []RevocationList `json:"lists" doc:"Lists of the configuration, and those that were fetched since it was loaded."`
	Responses int              `json:"responses" doc:"OCSP responses that are current."`
	Failed    int              `json:"failed" doc:"Certificates about which a responder was asked last without an answer."`
}

// RevocationList is a CRL of others.
type RevocationList struct {
	Source  string    `json:"source" doc:"The option and the file, or the address."`
	Issued  time.Time `json:"issued,omitzero" doc:"Its thisUpdate; absent where there is no list."`
	Expires time.Time `json:"expires,omitzero" doc:"Its nextUpdate."`
	Revoked int       `json:"revoked" doc:"How many certificates are on it."`
	Error   string    `json:"error,omitempty" doc:"Why it could not be fetched the last time."`
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
	ctx = store.WithActor(ctx, fmt.Sprintf("%s (%s)", a.Name, a.Via))
	return context.WithValue(ctx, actorKey{}, a)
}

func actor(ctx context.Context) access.Actor {
	a, _ := ctx.Value(actorKey{}).(access.Actor)
	return a
}
