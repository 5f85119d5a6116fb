package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/smimerelay/smimerelay/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date. Tables that a later release made are
// refused: this one would not keep its promises.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, options ...goose.ProviderOption) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options = append(options, goose.WithTableName("store_version"), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(dialect, db, folder, options...)
	if err != nil {
		return err
	}
	return schema.Update(ctx, p)
}
