// Package recipes has the recipes of the manual, for those who write configurations.
package recipes

import "embed"

// Files are the recipes with their cases, by file name.
//
//go:embed *.toml
var Files embed.FS
