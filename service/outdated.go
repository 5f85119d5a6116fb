package service

import (
	"time"

	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/config"
)

// namedList is a revocation list with the option that names its file.
type namedList struct {
	key, path string
	*revocation.List
}

// outdated are the revocation lists in files that no longer count: what they cover has
// no revocation information unless it can be fetched.
func (p *Parts) outdated(now time.Time) config.Problems {
	var ws config.Problems
	for _, l := range p.lists {
		if end := l.NextUpdate; !end.IsZero() && now.After(end.Add(p.Config.Trust.RevocationGrace)) {
			ws = append(ws, p.Config.Problem(l.key, "a revocation list expired on "+end.UTC().Format(time.DateOnly),
				"replace it, and have a timer fetch it; or remove it, and let fetch = true find the current one"))
		}
	}
	return ws
}
