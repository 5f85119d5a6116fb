package queue

import (
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// fresh is a delivery as the transaction that is open stores it. With SQLite its job is
// mostly taken in the same transaction, and its worker has no need to read again what was
// just written, while others wait for the only connection.
type fresh struct {
	row
	delivery int64
	params   storedParams // those of row
	to       []relay.Recipient
	text     *message.Message
}

// keepFresh keeps a delivery for the worker of its job. Workers may get free in the same
// transaction, and until it ends the caller has the message anyway. Only the writer calls it.
func (d *dispatcher) keepFresh(job int64, f *fresh) {
	if len(d.fresh) < d.seats.total() && f.text.Size() <= partSize {
		d.fresh[job] = f
	}
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

// stored is the delivery for a job, as load would read it. Most have parameters of words
// alone, which are what their text says.
func (f *fresh) stored(j job) (*stored, error) {
	params := f.params
	if params.Secret != nil || params.Asks != nil {
		var err error
		if params, err = parseParams(f.row.params); err != nil {
			return nil, err
		}
	}
	s, err := f.row.stored(j, params)
	if err != nil {
		return nil, err
	}
	s.delivery.Message = f.text
	recipients := make([]recipient, len(f.to))
	for i, r := range f.to {
		a, err := parseStored(r.Address.String())
		if err != nil {
			return nil, err
		}
		recipients[i] = recipient{position: i, Recipient: relay.Recipient{
			Address: a, Notify: splitWords(joinWords(r.Notify)),
			OriginalType: postgresdb.Text(r.OriginalType), Original: postgresdb.Text(r.Original),
		}}
	}
	s.address(recipients)
	return s, nil
}
