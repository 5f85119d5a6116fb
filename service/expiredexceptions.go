package service

import (
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
)

// expiredExceptions warns of those that do nothing any more.
func expiredExceptions(c *config.Config, now time.Time) config.Problems {
	var ws config.Problems
	for i, e := range c.Exceptions {
		if end, err := e.End(); err == nil && !end.IsZero() && now.After(end) {
			ws = append(ws, c.Problem(key("exception", i, "until"), fmt.Sprintf("its last day was %s: the exception no longer applies", e.Until), "remove it, or write a later date"))
		}
	}
	return ws
}
