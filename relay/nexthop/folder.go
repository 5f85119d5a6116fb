package nexthop

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// store writes a message into the folder, with its envelope in front of the header. It
// is there when its name is: for tests, and for what reads Maildir.
func (n *NextHop) store(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	results, relayed := make([]error, len(d.Recipients)), make([]bool, len(d.Recipients))
	if err := writeMessage(ctx, n.config.Folder, d); err != nil {
		for i := range results {
			results[i] = fault.New(fault.NextHop, "the message could not be stored", err)
		}
	}
	return results, relayed
}

func writeMessage(ctx context.Context, folder string, d relay.Delivery) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o700); err != nil {
			return err
		}
	}
	name := rand.Text()
	f, err := os.OpenFile(filepath.Join(folder, "tmp", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	var head strings.Builder
	fmt.Fprintf(&head, "Return-Path: <%s>\r\n", d.Sender)
	for _, r := range d.Recipients {
		fmt.Fprintf(&head, "Delivered-To: %s\r\n", r.Address)
	}
	_, err = f.WriteString(head.String())
	switch {
	case err != nil:
	case d.Message != nil:
		_, err = f.Write(d.Message.Bytes())
	default:
		err = d.Stored.Pieces(ctx, func(p []byte) error { _, err := f.Write(p); return err })
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = relay.CheckClaim(ctx) // another node may have taken the delivery over
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, "new", name))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is wrong with it is in err
	}
	return err
}
