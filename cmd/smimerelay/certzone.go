package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/publish/dnszone"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certZoneCmd struct {
	Config string        `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	TTL    time.Duration `name:"ttl" default:"1h" help:"Time to live of the records."`
	Zone   string        `arg:"" help:"The zone: records are printed for addresses in this domain and below it."`
}

// Help is shown below the summary.
func (certZoneCmd) Help() string {
	return `Prints SMIMEA records (RFC 8162) with the certificates of local addresses, as lines of a zone file with full names. For each local address in the zone: the newest usable certificate of each kind of key that mail can be encrypted to. The addresses option of [[publish]] tables is not applied, and no such table is needed. Senders take records into account only if the zone is signed with DNSSEC. A [[publish]] table with to = "dns" keeps the records in a zone up to date instead.

Exit status: 0 if there are records, 1 if there are none, 2 usage error, 78 bad configuration.`
}

func (certZoneCmd) examples() string {
	return `smimerelay cert zone example.com > /var/lib/bind/example.com.smimea
		smimerelay cert zone --ttl 10m --config ./config.toml example.com`
}

// Run prints the records.
func (c *certZoneCmd) Run(a *app) error {
	if _, err := address.Parse("x@" + c.Zone); err != nil {
		return unusable(fmt.Errorf("ZONE: %q is not a domain", c.Zone))
	}
	if c.TTL < time.Second || c.TTL > 7*24*time.Hour {
		return unusable(errors.New("--ttl: give a time from 1s to 168h"))
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	snapshot, err := parts.Snapshot(background(), a.clock, nil)
	if err != nil {
		return err
	}
	n := 0
	for line := range dnszone.New(c.Zone, snapshot.All()).Lines(c.TTL) {
		if _, err := fmt.Fprintln(a.stdout, line); err != nil { // certificates are not cut, as texts on a page are
			return err
		}
		n++
	}
	if n == 0 {
		return negative(fmt.Errorf("no certificate can be published for addresses in %s", c.Zone))
	}
	return nil
}
