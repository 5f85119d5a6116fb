package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
)

// HistoryPlace is where the history of a configuration is: in the database of the store,
// if it has one, and else in a file next to it. ok is false where there is none.
func HistoryPlace(c *config.Config) (place history.Place, ok bool, err error) {
	switch {
	case c.Store.URL == "" || c.History.Keep == 0:
		return history.Place{}, false, nil
	case !c.Store.Shared():
		return history.Place{Path: filepath.Join(filepath.Dir(config.Place(c.Store.URL)), "history.db")}, true, nil
	}
	password, err := store.ReadPassword(c.Store.PasswordFile)
	if err != nil {
		return history.Place{}, false, fmt.Errorf("store.password_file: %w", err)
	}
	return history.Place{URL: config.Place(c.Store.URL), Password: password}, true, nil
}

// hidInHistory looks for messages in the history of a configuration that is not served: see
// gateway.Config.
func hidInHistory(c *config.Config) func(context.Context, []string) (bool, error) {
	return func(ctx context.Context, messageIDs []string) (bool, error) {
		place, ok, err := HistoryPlace(c)
		if err != nil || !ok {
			return false, err
		}
		s, err := history.OpenExisting(ctx, place)
		if errors.Is(err, history.ErrNone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		hid, err := s.HidSubject(ctx, messageIDs)
		return hid, errors.Join(err, s.Close())
	}
}
