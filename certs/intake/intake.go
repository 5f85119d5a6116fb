// Package intake brings files of identities and certificates into the store. It
// opens several at a time, for the work of their passwords takes longest, stores
// them in batches, and reports a file only when what it holds is on stable
// storage: an import that was broken off is run again, and goes on.
package intake

import (
	"context"
	"crypto/x509"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/certs/store"
)

// Result is what became of a file.
type Result string

// The results: something in the file was new to the store, everything was known,
// nothing of the file was stored.
const (
	Added   Result = "added"
	Known   Result = "known"
	Refused Result = "refused"
)

// Outcome is the report on one file.
type Outcome struct {
	File   string `json:"file"`
	Result Result `json:"result"`
	// Reason is why it was refused: one line that says what to do.
	Reason string `json:"reason,omitempty"`
	// Skipped are the certificates in it that could not be read.
	Skipped []string `json:"skipped,omitempty"`
	// Identities and Certificates are how many the file holds, New how many of
	// them were not in the store as they are now.
	Identities   int `json:"identities"`
	Certificates int `json:"certificates"`
	New          int `json:"new"`
	// Leaves are the certificates of the file that are for a mailbox, those of its
	// identities first; none where the file was known already.
	Leaves []*x509.Certificate `json:"-"`
}

// Summary counts outcomes.
type Summary struct {
	Added, Known, Refused int // files
	New                   int // identities and certificates
}

func (s *Summary) count(o Outcome) {
	switch o.Result {
	case Added:
		s.Added++
	case Known:
		s.Known++
	case Refused:
		s.Refused++
	}
	s.New += o.New
}

// Config is what Run needs.
type Config struct {
	Store *store.Store
	// Password opens the files that have no NAME.password beside them.
	Password string
	// Force takes identities under an empty or short password too.
	Force bool
	// Workers is how many files are opened at a time, at least 1.
	Workers int
}

// Limits of a batch. The time is that after which a user who watches wants to
// see something.
const (
	maxBatch = 500     // files
	maxSize  = 4 << 20 // octets
	maxWait  = 300 * time.Millisecond
)

// maxOpen is how many octets of files are open at a time, from reading to the end of
// their transaction: what is parsed takes several times its size. It leaves room to
// open the next batch while one is stored. A larger file is open alone.
const maxOpen = 2 * maxSize

// Run imports files and calls report for each, in order, when it is stored. It
// ends early with the first error of the store or of report; what was reported
// until then stays stored.
func Run(ctx context.Context, cfg Config, files []string, report func(Outcome) error) (Summary, error) {
	ctx, stop := context.WithCancel(ctx)
	room := semaphore.NewWeighted(maxOpen)
	opened := open(ctx, cfg, room, files)
	b := &batch{cfg: cfg, report: report, room: room}
	err := b.fill(ctx, opened)
	stop()
	for range opened { // until all workers have ended
	}
	return b.summary, err
}

// batch is what was opened and is not yet stored.
type batch struct {
	cfg     Config
	report  func(Outcome) error
	room    *semaphore.Weighted // see maxOpen
	waiting []candidate
	size    int // octets of those
	summary Summary
}

// fill stores what comes whenever there is enough of it, or it waited enough.
func (b *batch) fill(ctx context.Context, opened <-chan candidate) error {
	tick := time.NewTicker(maxWait)
	defer tick.Stop()
	for {
		select {
		case c, more := <-opened:
			if !more {
				return b.flush(ctx)
			}
			b.waiting, b.size = append(b.waiting, c), b.size+c.size
			if len(b.waiting) < maxBatch && b.size < maxSize {
				continue
			}
		case <-tick.C:
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
}

// flush stores what waits in one transaction, and then reports.
func (b *batch) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var files []store.File
	for _, c := range b.waiting {
		if c.outcome.Result == "" {
			files = append(files, c.file)
		}
	}
	done, err := b.cfg.Store.Import(ctx, files...)
	if err != nil {
		return err
	}
	for _, c := range b.waiting {
		if c.outcome.Result == "" {
			c.judge(done[0])
			done = done[1:]
		}
		b.summary.count(c.outcome)
		if err := b.report(c.outcome); err != nil {
			return err
		}
	}
	for _, c := range b.waiting {
		b.room.Release(c.room)
	}
	b.waiting, b.size = nil, 0
	return nil
}
