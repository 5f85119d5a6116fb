package queue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// errInterrupted is what became of recipients whom the next hop had not taken.
var errInterrupted = fault.New(fault.NextHop, "the delivery was interrupted, try again later", errors.New("the process ended during the delivery"))

// recordHanded records what the last process had handed on when it ended, and begins
// the notes of this one.
func (q *Queue) recordHanded(ctx context.Context) error {
	if q.handed == nil {
		return nil
	}
	run, notes, err := q.handed.read()
	if err != nil {
		return err
	}
	for job, marks := range notes {
		if err := q.recordNote(ctx, run, job, marks); err != nil {
			q.config.Log.Error("what the last process handed on could not be recorded; the delivery is repeated", "error", fmt.Errorf("job %d: %w", job, err))
		}
	}
	if run, err = q.newRun(ctx); err != nil {
		return err
	}
	q.handed.begin(run)
	return nil
}

// newRun has the queue know the name of this run.
func (q *Queue) newRun(ctx context.Context) (string, error) {
	if q.engine.shared {
		return q.lease.name, nil
	}
	var octets [4]byte
	_, _ = rand.Read(octets[:])                    // it never fails
	run := binary.BigEndian.Uint32(octets[:]) >> 1 // which SQLite has room for
	_, err := q.db.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, run))
	return strconv.FormatUint(uint64(run), 10), err
}

// recordNote records what a run noted of a job, if the queue does not have it yet.
func (q *Queue) recordNote(ctx context.Context, run string, id int64, marks string) error {
	j := job{id: id}
	err := q.db.QueryRowContext(ctx, q.engine.jobOf, id, run).Scan(&j.delivery)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	share := q.config.Memory.Share()
	defer share.Release()
	s, err := withMemory(ctx, share, func(share *relay.Share) (*stored, error) { return q.load(ctx, j, share) })
	if err != nil || s == nil || len(s.recipients) != len(marks) {
		return err
	}
	s.share = share
	results, relayed := make([]error, len(marks)), make([]bool, len(marks))
	for i, mark := range marks {
		switch mark {
		case markTaken:
		case markRelayed:
			relayed[i] = true
		default:
			results[i] = errInterrupted
		}
	}
	q.record(ctx, s, results, relayed)
	return nil
}
