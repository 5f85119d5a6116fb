package store

import (
	"context"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// connections is the most to a PostgreSQL server from one process.
const connections = 8

// ReadPassword reads a Config.PasswordFile; "" is that of none.
func ReadPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := file.ReadPrivate(path, 4096)
	return file.SecretText(text), err
}

func (s *Store) openPostgreSQL(ctx context.Context) error {
	password, err := ReadPassword(s.cfg.PasswordFile)
	if err != nil {
		return err
	}
	cfg, err := postgresdb.Parse(s.cfg.URL, password)
	if err != nil {
		return err
	}
	s.write, err = postgresdb.Open(ctx, cfg, connections)
	s.read = s.write
	if err != nil {
		return err
	}
	return layout.UpdatePostgreSQL(ctx, s.write)
}
