// Package schema brings the tables of a database to those that this release knows.
package schema

import (
	"context"
	"fmt"

	"github.com/pressly/goose/v3"
)

// Update applies what is missing of the migrations of p. Tables that a later release made
// are an error: this one would not keep its promises.
func Update(ctx context.Context, p *goose.Provider) error {
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing its tables up to date: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("its tables are of a later release (%d, this one knows %d); use that release", current, target)
	}
	return nil
}
