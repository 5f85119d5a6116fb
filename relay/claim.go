package relay

import "context"

// claimKey is under which a context has the claim to a delivery.
type claimKey struct{}

// WithClaim gives those who deliver with ctx a check, whether the delivery is still this
// process's: another node may have taken it over.
func WithClaim(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, claimKey{}, check)
}

// CheckClaim returns nil while the delivery that ctx is for may be handed on. It is
// asked right before the message is, when all that may take long lies behind.
func CheckClaim(ctx context.Context) error {
	if check, ok := ctx.Value(claimKey{}).(func(context.Context) error); ok {
		return check(ctx)
	}
	return nil
}
