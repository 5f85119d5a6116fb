package queue

import (
	"slices"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// fresh is a delivery as the transaction that is open stores it. With SQLite its job is
// mostly taken in the same transaction, and its worker has no need to read again what was
// just written, while others wait for the only connection.
type fresh struct {
	row
	delivery   int64
	recipients []recipient
	text       *message.Message
}

// keepFresh keeps a delivery for the worker of its job, if one is free for it. Only the
// writer calls it.
func (d *dispatcher) keepFresh(job, id int64, r row, of relay.Delivery) {
	if len(d.fresh) >= d.room() || of.Message.Size() > partSize {
		return
	}
	f := &fresh{row: r, delivery: id, text: of.Message}
	for i, r := range of.Recipients {
		a, err := parseStored(r.Address.String())
		if err != nil {
			return // load says so
		}
		f.recipients = append(f.recipients, recipient{position: i, Recipient: relay.Recipient{
			Address: a, Notify: splitWords(joinWords(r.Notify)),
			OriginalType: postgresdb.Text(r.OriginalType), Original: postgresdb.Text(r.Original),
		}})
	}
	d.fresh[job] = f
}

// forgetFresh forgets what was stored in a transaction, or a part of one, that was undone:
// others get its numbers.
func (d *dispatcher) forgetFresh() { clear(d.fresh) }

// takeFresh gives jobs the deliveries that were stored with them, and forgets the others.
func (d *dispatcher) takeFresh(jobs []job) {
	for i := range jobs {
		if f := d.fresh[jobs[i].id]; f != nil && f.delivery == jobs[i].delivery {
			jobs[i].fresh = f
		}
	}
	d.forgetFresh()
}

// stored is the delivery for a job, as load would read it.
func (f *fresh) stored(j job) (*stored, error) {
	s, err := f.row.stored(j)
	if err != nil {
		return nil, err
	}
	s.delivery.Message = f.text
	s.address(slices.Clone(f.recipients)) // address writes into them
	return s, nil
}
