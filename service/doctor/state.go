package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
)

// The PostgreSQL of a store.
const (
	oldestPostgreSQL = 14
	clockSkew        = 60 // seconds
)

func (x *examination) store(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	server, ok, err := x.parts.Store().Server(ctx)
	switch {
	case err != nil:
		t := service.StoreTrouble(x.config.Store, err)
		x.add(Error, "store", t.Key, t.Text, t.Remedy)
	case ok:
		x.postgreSQL(server)
		text := fmt.Sprintf("PostgreSQL %d, replicated to %d servers, %d of them synchronously", server.Version, server.Standbys, server.Synchronous)
		if server.Standbys == 0 {
			x.add(Note, "store", "store.url", text, "set up a standby, or back the database up: it has the private keys")
			return
		}
		x.ok("store", "store.url", text)
	}
}

func (x *examination) postgreSQL(server store.Server) {
	if server.Version < oldestPostgreSQL {
		x.add(Warning, "store", "store.url", fmt.Sprintf("PostgreSQL %d is no longer maintained", server.Version), fmt.Sprintf("upgrade it to %d or later", oldestPostgreSQL))
	}
	if server.Standby {
		x.add(Error, "store", "store.url", "the server is a standby, which stores nothing", "connect to the primary: add ?target_session_attrs=read-write and name all servers")
	}
	if server.ReadOnly && !server.Standby {
		x.add(Error, "store", "store.url", "default_transaction_read_only is on: nothing can be stored", "ALTER ROLE and ALTER DATABASE with RESET default_transaction_read_only, or set it off in postgresql.conf")
	}
	if !server.Durable {
		x.add(Warning, "store", "store.url", "fsync or synchronous_commit is off: what was stored may be lost with the server", "set both to on in postgresql.conf")
	}
	if skew := server.Skew; skew > clockSkew || skew < -clockSkew {
		x.add(Warning, "store", "store.url", fmt.Sprintf("its clock is %d seconds from the one here", skew), "synchronize both clocks")
	}
}

// The queue is fine while its oldest mail has waited for less.
const oldMail = 4 * time.Hour

func (x *examination) queue(ctx context.Context) {
	place, err := service.QueuePlace(x.config)
	path := x.config.Queue.Path
	if place.URL != "" {
		path = "store.url"
	} else if _, err := os.Stat(place.Path); os.IsNotExist(err) {
		x.ok("queue", path, "does not exist yet")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	var q *queue.Store
	if err == nil {
		q, err = queue.OpenStore(ctx, place)
	}
	if err != nil {
		t := service.QueueTrouble(x.config, err)
		x.add(Error, "queue", t.Key, t.Text, t.Remedy)
		return
	}
	defer q.Close()
	n, err := q.Len(ctx)
	if err != nil {
		x.add(Error, "queue", path, err.Error(), "restart the gateway; if that does not help, restore the file")
		return
	}
	oldest, err := q.Oldest(ctx)
	if age := x.Clock().Sub(oldest).Round(time.Minute); err == nil && n > 0 && age > oldMail {
		x.add(Warning, "queue", path, fmt.Sprintf("%d messages wait, the oldest for %v", n, age), "smimerelay queue list shows why; mend the next hop, then smimerelay queue retry")
		return
	}
	x.ok("queue", path, fmt.Sprintf("%d messages wait", n))
}

// disk compares what is free where the queue and the store are with queue.min_free.
func (x *examination) disk() {
	seen := map[string]bool{}
	bad := x.parts.Unstorable()
	for _, w := range bad {
		x.add(Error, "disk", w.Key, w.Text, w.Remedy)
	}
	reported := func(folder string) bool {
		return slices.ContainsFunc(bad, func(w config.Problem) bool { return strings.Contains(w.Text, strconv.Quote(folder)) })
	}
	for _, place := range []struct{ key, path string }{{"queue.path", x.config.Queue.Path}, {"store.url", x.config.Store.URL}} {
		folder := filepath.Dir(config.Place(place.path))
		if place.path == "" || place.key == "store.url" && x.config.Store.Shared() || seen[folder] {
			continue
		}
		seen[folder] = true
		free, err := filesystem.Free(folder)
		least := int64(x.config.Queue.MinFree)
		switch {
		case err != nil, reported(folder):
			// Nothing is to be stored there, or it was reported above.
		case free < least:
			x.add(Error, "disk", place.key, fmt.Sprintf("%s has %s free, less than queue.min_free: new mail is deferred with 452", folder, megabytes(free)), "free space there, or move the queue")
		case free < 4*least:
			x.add(Warning, "disk", place.key, fmt.Sprintf("%s has %s free; below %s new mail is deferred", folder, megabytes(free), megabytes(least)), "free space there")
		default:
			x.ok("disk", folder, fmt.Sprintf("%s free", megabytes(free)))
		}
	}
}

func megabytes(octets int64) string { return fmt.Sprintf("%d MB", octets>>20) }
