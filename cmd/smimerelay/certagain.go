package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// again lets a second certificate of an address be issued only where that is wanted: partners
// who keep the first would go on encrypting to it.
func (c *certIssueCmd) again(ctx context.Context, a *app, o *authorities, addresses []address.Address) error {
	if c.Again {
		return nil
	}
	for _, addr := range addresses {
		cert, err := o.Valid(ctx, addr)
		if err != nil {
			return err
		}
		if cert == nil {
			continue
		}
		text := fmt.Sprintf("%s has a certificate until %s", addr, cert.NotAfter.UTC().Format(time.DateOnly))
		if !isTerminal(a.stdin) {
			return negative(fmt.Errorf("%s; revoke it first with smimerelay cert revoke, or issue another one with --again", text))
		}
		a.say("%s. Issue another one? [y/N]", text)
		line, err := bufio.NewReader(a.stdin).ReadString('\n')
		if err != nil || !strings.EqualFold(strings.TrimSpace(line), "y") {
			return negative(fmt.Errorf("%s: nothing was issued; revoke the certificate first, or answer y", addr))
		}
	}
	return nil
}
