package service

import (
	"iter"
	"net"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/publish/dnszone"
)

// updateTime bounds one update of a zone.
const updateTime = 15 * time.Second

// zoneUpdater writes the records of a table to its zone.
func (s *Service) zoneUpdater(t *config.Publish, entries iter.Seq[*publish.Entry], unsure publish.Unsure) *dnszone.Updater {
	return &dnszone.Updater{
		Server: withPort(t.Server, "53"), Zone: t.Zone, Records: dnszone.New(t.Zone, entries), Unsure: unsure, KeyName: t.TSIGKey, Algorithm: t.Algorithm,
		Secret: func() (string, error) { return readSecret(t.TSIGSecret) }, TTL: t.TTL, Timeout: updateTime, Clock: s.options.Clock,
	}
}

// withPort is an address with the port that it has, or another one.
func withPort(server, port string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), port)
}
