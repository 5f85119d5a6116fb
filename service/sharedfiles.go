package service

import (
	"fmt"

	"github.com/smimerelay/smimerelay/internal/config"
)

// sharedFiles warns of databases in one file.
func sharedFiles(c *config.Config) config.Problems {
	var ws config.Problems
	first := map[string]string{}
	for _, f := range c.Databases() {
		if other, used := first[f.Path]; used {
			ws = append(ws, c.Problem(f.Key, fmt.Sprintf("%q is also %s: each waits while the other writes", f.Path, other), "name a file of its own; what is in this one stays there"))
			continue
		}
		first[f.Path] = f.Key
	}
	return ws
}
