package pgtest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestServer(t *testing.T) {
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	first, second := s.Database(t), s.Database(t)
	if first == second {
		t.Errorf("one database for two: %s", first)
	}
	query := func(url, password string) error {
		cfg, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		cfg.Password = password
		c, err := pgx.ConnectConfig(context.Background(), cfg)
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		_, err = c.Exec(context.Background(), "CREATE TABLE t (a BYTEA)")
		return err
	}
	if err := query(first, ""); err != nil {
		t.Error(err)
	}
	secret := s.Secret(t, second)
	if err := query(secret, "wrong"); err == nil {
		t.Error("a wrong password served")
	}
	if err := query(secret, Password); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder stayed: %v", err)
	}
	if err := query(first, ""); err == nil {
		t.Error("it still answers")
	}
}
