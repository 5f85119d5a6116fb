package postgresdb

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// Limit has a connection that is being waited for fail when nothing comes from the
// server for so long: one that is cut off, or hangs, would keep its users for as long.
func Limit(cfg *pgx.ConnConfig, wait time.Duration) {
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &limited{Conn: c, wait: wait}, nil
	}
}

// limited is a connection whose reads and writes end after a while.
type limited struct {
	net.Conn
	wait time.Duration
}

// Read implements net.Conn.
func (c *limited) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write implements net.Conn.
func (c *limited) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
