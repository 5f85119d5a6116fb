package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/service"
)

type certExpiringCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	Within span   `placeholder:"TIME" help:"Remaining validity, such as 14d (default: the longest of expiry.warn_before)."`
	JSON   bool   `name:"json" help:"Print the list as JSON."`
}

// Help is shown below the summary.
func (certExpiringCmd) Help() string {
	return `Lists identities in the store, in files and in tokens, and the built-in CA, if they expire soon; the earliest expiry comes first. An identity is omitted if newer identities replace it for all of its addresses.

Exit status: 0 none expires soon, 1 some do, 2 usage error, 78 bad configuration. It prints nothing if there is nothing to do, which suits cron.`
}

func (certExpiringCmd) examples() string {
	return `smimerelay cert expiring
		smimerelay cert expiring --within 14d --json
		0 7 * * 1 smimerelay   smimerelay cert expiring    as a line of /etc/cron.d`
}

// expiringIdentity is what --json prints of one.
type expiringIdentity struct {
	SHA256    string    `json:"sha256"`
	Subject   string    `json:"subject"`
	Addresses []string  `json:"addresses"`
	NotAfter  time.Time `json:"not_after"`
	Days      int       `json:"days"`
	Place     string    `json:"place"`
	Authority bool      `json:"authority"`
}

// Run lists what ends soon.
func (c *certExpiringCmd) Run(a *app) error {
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	within := time.Duration(c.Within)
	if within == 0 {
		within = service.Within(parts.Config)
	}
	h, err := parts.Holdings(background(), a.clock(), within)
	if err != nil {
		return err
	}
	if err := c.print(a, h.Expiring); err != nil {
		return err
	}
	if len(h.Expiring) > 0 {
		return &statusError{status: exitNegative}
	}
	return nil
}

func (c *certExpiringCmd) print(a *app, list []service.Owned) error {
	out := []expiringIdentity{}
	for _, o := range list {
		sum := sha256.Sum256(o.Certificate.Raw)
		out = append(out, expiringIdentity{
			SHA256: hex.EncodeToString(sum[:]), Subject: pkix.SubjectString(o.Certificate),
			Addresses: describe.Texts(certs.Addresses(o.Certificate)), NotAfter: o.Certificate.NotAfter.UTC(),
			Days: int(o.Certificate.NotAfter.Sub(a.clock()).Hours() / 24), Place: o.Place, Authority: o.Authority,
		})
	}
	if c.JSON {
		return a.printJSON(out)
	}
	p := a.page()
	for i, o := range list {
		what := ""
		if o.Authority {
			what = ", built-in CA"
		}
		p.line("%s expires on %s, in %d days (%s%s)", name(o.Certificate), out[i].NotAfter.Format(time.DateOnly), out[i].Days, o.Place, what)
	}
	return p.err
}
