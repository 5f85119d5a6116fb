package store

import (
	"embed"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// tablesLock is held by a node that makes the tables.
const tablesLock postgresdb.Lock = 0x736d696d655f7374

var layout = schema.Tables{Steps: migrations, Version: "store_version", Lock: tablesLock}
