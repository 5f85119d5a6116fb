package openid

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/smimerelay/smimerelay/console/access"
)

// Lifetime is how long a sign-in that was begun can be finished.
const Lifetime = 10 * time.Minute

// Begin begins a sign-in. The browser keeps the secret, which binds it to what it brings back, and
// goes to location.
func (p *Provider) Begin(ctx context.Context) (secret, location string, err error) {
	d, err := p.describe(ctx)
	if err != nil {
		return "", "", err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // it does not fail
	secret = strconv.FormatInt(p.cfg.Clock().Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString(b[:])
	location = p.oauth(d, "").AuthCodeURL(derive(secret, "state"), oidc.Nonce(derive(secret, "nonce")), oauth2.S256ChallengeOption(derive(secret, "verifier")))
	return secret, location, nil
}

// derive makes state, nonce and code verifier of the secret of the browser: one says nothing of
// the others, and nothing needs to be stored.
func derive(secret, purpose string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// begun reports whether a secret is of a sign-in that can still be finished.
func (p *Provider) begun(secret string) bool {
	text, _, ok := strings.Cut(secret, ".")
	at, err := strconv.ParseInt(text, 10, 64)
	age := p.cfg.Clock().Sub(time.Unix(at, 0))
	return ok && err == nil && age >= 0 && age < Lifetime
}

// Finish finishes a sign-in by what a browser brought back, and its secret. All reasons for which
// someone does not get in are a Refused.
func (p *Provider) Finish(ctx context.Context, secret string, back url.Values) (access.External, error) {
	if !p.begun(secret) || !equal(back.Get("state"), derive(secret, "state")) {
		return access.External{}, refuse(NotBegun, "the state is not that of this browser, or is older than %v", Lifetime)
	}
	// RFC 9207: an answer of another provider.
	if iss := back.Get("iss"); iss != "" && iss != p.cfg.Issuer {
		return access.External{}, refuse(NotProven, "the answer is from the issuer %.200q", iss)
	}
	if back.Has("error") || back.Get("code") == "" {
		return access.External{}, refuse(Denied, "the provider answered %.100q: %.200q", back.Get("error"), back.Get("error_description"))
	}
	token, err := p.exchange(ctx, secret, back.Get("code"))
	if err != nil {
		return access.External{}, err
	}
	who, err := p.identify(token)
	if err != nil {
		return access.External{}, err
	}
	who.Once, who.OnceUntil = derive(secret, "state"), p.cfg.Clock().Add(Lifetime)
	return who, nil
}

// exchange gets the ID token for a code and verifies it.
func (p *Provider) exchange(ctx context.Context, secret, code string) (*oidc.IDToken, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, &Refused{Text: Unavailable, Cause: context.Cause(ctx)}
	}
	d, err := p.describe(ctx)
	if err != nil {
		return nil, err
	}
	shown, err := p.secret()
	if err != nil {
		return nil, &Refused{Text: Unavailable, Cause: err}
	}
	answer, err := p.oauth(d, shown).Exchange(ctx, code, oauth2.VerifierOption(derive(secret, "verifier")))
	if err != nil {
		return nil, &Refused{Text: NotProven, Cause: reason(err)}
	}
	raw, _ := answer.Extra("id_token").(string)
	token, err := d.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Clock}).Verify(ctx, raw)
	if err != nil {
		return nil, &Refused{Text: NotProven, Cause: err}
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(answer.AccessToken); err != nil {
			return nil, &Refused{Text: NotProven, Cause: err}
		}
	}
	return token, p.check(token, derive(secret, "nonce"))
}

// check checks what the library leaves to its user (OpenID Connect Core section 3.1.3.7).
func (p *Provider) check(token *oidc.IDToken, nonce string) error {
	var c struct {
		Authorized string `json:"azp"`
	}
	if err := token.Claims(&c); err != nil {
		return &Refused{Text: NotProven, Cause: err}
	}
	switch {
	case !equal(token.Nonce, nonce):
		return refuse(NotProven, "the nonce of the ID token is not that of this sign-in")
	case c.Authorized != "" && c.Authorized != p.cfg.ClientID, c.Authorized == "" && len(token.Audience) > 1:
		return refuse(NotProven, "the ID token is for the client %.200q and the audience %.200q", c.Authorized, token.Audience)
	case token.Subject == "":
		return refuse(NotProven, "the ID token has no sub")
	}
	return nil
}

// identify reads the name and the role.
func (p *Provider) identify(token *oidc.IDToken) (access.External, error) {
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return access.External{}, &Refused{Text: NotProven, Cause: err}
	}
	name, _ := claims[p.cfg.NameClaim].(string)
	if name == "" {
		return access.External{}, refuse(NoName, "the ID token has no claim %q; name another one with openid.name_claim, or add a scope", p.cfg.NameClaim)
	}
	// Who may write any address into their profile would choose their name, or their role.
	if (p.cfg.NameClaim == "email" || p.cfg.RoleClaim == "email") && !verified(claims["email_verified"]) {
		return access.External{}, refuse(NotVerified, "email_verified of %.200q is not true", claims["email"])
	}
	return access.External{Issuer: p.cfg.Issuer, Subject: token.Subject, Name: name, Role: p.role(claim(claims, p.cfg.RoleClaim))}, nil
}

// verified reads email_verified, which some providers write as a string.
func verified(value any) bool { return value == true || value == "true" }

// claim returns the words of a claim: a string, or a list of them. A name with dots leads into
// objects, such as realm_access.roles, unless a claim has that name.
func claim(claims map[string]any, name string) []string {
	value, ok := claims[name]
	if first, rest, dotted := strings.Cut(name, "."); !ok && dotted {
		inner, _ := claims[first].(map[string]any)
		return claim(inner, rest)
	}
	switch x := value.(type) {
	case string:
		return []string{x}
	case []any:
		var list []string
		for _, item := range x {
			if word, ok := item.(string); ok {
				list = append(list, word)
			}
		}
		return list
	}
	return nil
}

// role returns the role that includes most of those that the words give; "" is none.
func (p *Provider) role(words []string) access.Role {
	var best access.Role
	for _, role := range access.Roles {
		if slices.ContainsFunc(p.cfg.Roles[role], func(word string) bool { return slices.Contains(words, word) }) {
			best = role
		}
	}
	return best
}

// SignOutAt is where a browser signs out at the provider, and comes back from; "" where the
// provider names no such place (OpenID Connect RP-Initiated Logout 1.0), or cannot be asked. It is
// asked where this Provider does not know: a reload of the configuration makes a new one, for those
// who have signed in by the one before.
func (p *Provider) SignOutAt(ctx context.Context) string {
	d, err := p.describe(ctx)
	if err != nil || d.end == "" {
		return ""
	}
	u, err := url.Parse(d.end)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.cfg.ClientID)
	u.RawQuery = q.Encode()
	return u.String()
}

// Host is the host of the provider, for people.
func (p *Provider) Host() string {
	u, err := url.Parse(p.cfg.Issuer)
	if err != nil {
		return p.cfg.Issuer
	}
	return u.Host
}
