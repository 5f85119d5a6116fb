// Package sqlitedb opens SQLite databases whose connections compile a statement
// once and keep it. The driver compiles each statement at each use, which takes
// several times as long as to find a row by its key.
package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"modernc.org/sqlite"
)

// Open returns the database that a data source name of the driver names. Nothing is
// opened before the first use.
func Open(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c}), nil
}

// connector makes connections that keep statements.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	base, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	d, ok := base.(driverConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver has connections of type %T, which lack what is needed", base)
	}
	return &conn{driverConn: d}, nil
}
