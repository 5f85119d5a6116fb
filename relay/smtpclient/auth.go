package smtpclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// Mechanism is a SASL mechanism.
type Mechanism string

// The mechanisms: PLAIN of RFC 4616, LOGIN as Exchange knows it, and XOAUTH2 of Google and
// Microsoft.
const (
	Plain   Mechanism = "PLAIN"
	Login   Mechanism = "LOGIN"
	XOAuth2 Mechanism = "XOAUTH2"
)

// Auth is what the client shows of itself (RFC 4954).
type Auth struct {
	Mechanism Mechanism
	User      string
	// Secret returns the password, or the token of XOAUTH2. It is asked for each
	// connection: both may change while the gateway runs.
	Secret func(context.Context) (string, error)
}

var errInTheOpen = errors.New("no password is sent: the server has not shown a verified certificate, and is not on this machine")

// authenticate runs the exchange. An answer of the server to it is about the connection,
// and no message is refused for it.
func (h *hop) authenticate(ctx context.Context, a *Auth) error {
	if !h.verified() && !h.host.near() {
		return errInTheOpen
	}
	offered := strings.Fields(strings.ToUpper(h.extensions["AUTH"]))
	if !slices.Contains(offered, string(a.Mechanism)) {
		return fmt.Errorf("the server does not offer AUTH %s but %q", a.Mechanism, strings.Join(offered, " "))
	}
	secret, err := a.Secret(ctx)
	if err != nil {
		return fmt.Errorf("password: %w", err)
	}
	r, err := h.exchange(ctx, a, secret)
	if err != nil {
		return err
	}
	if r.Code != 235 {
		return fmt.Errorf("AUTH %s as %q: %w", a.Mechanism, a.User, asError(r))
	}
	return nil
}

func (h *hop) exchange(ctx context.Context, a *Auth, secret string) (fault.Reply, error) {
	var first string
	var rest []string
	switch a.Mechanism {
	case Plain:
		first = "\x00" + a.User + "\x00" + secret
	case XOAuth2:
		// A refusal comes as a challenge, which is answered by nothing.
		first, rest = "user="+a.User+"\x01auth=Bearer "+secret+"\x01\x01", []string{""}
	case Login:
		rest = []string{a.User, secret}
	}
	line := "AUTH " + string(a.Mechanism)
	if first != "" {
		line += " " + base64.StdEncoding.EncodeToString([]byte(first))
	}
	wait := h.client.timeouts.command
	r, err := h.command(ctx, wait, line)
	for _, text := range rest {
		if err != nil || r.Code != 334 {
			break
		}
		r, err = h.command(ctx, wait, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	return r, err
}
