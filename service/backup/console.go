package backup

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

// consoleContents is what only an encrypted backup has of the console: hashes of passwords, and the
// secrets of one-time codes.
const consoleContents = "accounts, tokens and audit log of the console"

// consolePlace is where the accounts of the console and the audit log are; false where they are
// nowhere.
func consolePlace(c *config.Config) (access.Config, bool, error) {
	if c.Store.URL == "" && c.Console.Path == "" {
		return access.Config{}, false, nil
	}
	place, err := service.ConsolePlace(c, time.Now, slog.New(slog.DiscardHandler))
	return place, err == nil, err
}

func (a *archive) copyConsole(ctx context.Context) (err error) {
	place, ok, err := consolePlace(a.options.Config)
	if err != nil || !ok || place.URL == "" && !exists(place.Path) {
		return err
	}
	if len(a.options.To) == 0 {
		a.manifest.LeftOut = append(a.manifest.LeftOut, consoleContents)
		return nil
	}
	from, err := access.Open(ctx, place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := access.Open(ctx, access.Config{Path: a.folder.path(consoleName), Log: place.Log})
	if err != nil {
		return err
	}
	a.manifest.Console, err = from.Copy(ctx, to)
	return errors.Join(err, to.Close())
}

// restoreConsole restores the accounts where there are none yet: kept says that there are.
func (b *Backup) restoreConsole(ctx context.Context, c *config.Config) (copied access.Copied, kept bool, err error) {
	place, ok, err := consolePlace(c)
	if err != nil || !ok || !exists(b.folder.path(consoleName)) {
		return copied, false, err
	}
	from, err := access.Open(ctx, access.Config{Path: b.folder.path(consoleName), Log: place.Log})
	if err != nil {
		return copied, false, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := access.Open(ctx, place)
	if err != nil {
		return copied, false, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	copied, err = from.Copy(ctx, to)
	if errors.Is(err, access.ErrNotEmpty) {
		return access.Copied{}, true, nil
	}
	return copied, false, err
}
