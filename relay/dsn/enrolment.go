package dsn

import (
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Enrolment is a notice to an administrator that certificates could not be had.
type Enrolment struct {
	// ID is unique to the notice, of letters and digits.
	ID string
	// Hostname is ours.
	Hostname string
	// From is the author, To is who is notified.
	From, To address.Address
	Now      time.Time
	// Orders must not be empty.
	Orders []FailedOrder
	// Texts are the words; nil is the built-in English.
	Texts *Texts
}

// FailedOrder is an order of a certificate that failed.
type FailedOrder struct {
	Address address.Address
	// Order and Enrolment are the names by which it is found, Problem why it failed.
	Order, Enrolment, Problem string
	// Final: no further attempt is made; Next is when one is.
	Final bool
	Next  time.Time
}

// enrolment is the name of the files with the words.
const enrolment = "enrolment"

// enrolmentFacts are what the templates are filled with.
type enrolmentFacts struct {
	Hostname string
	Orders   []orderFacts
}

type orderFacts struct {
	Address, Order, Enrolment, Problem, Next string
	Final                                    bool
}

// BuildEnrolment returns the notice as a message. The caller sends it with the null
// reverse-path, so that there is no automatic answer.
func BuildEnrolment(e Enrolment) (*message.Message, error) {
	if e.To.IsNull() || len(e.Orders) == 0 {
		return nil, errors.New("enrolment notice: no addressee, or no orders to report")
	}
	texts := e.Texts
	if texts == nil {
		var err error
		if texts, err = ReadTexts("", nil); err != nil {
			return nil, err
		}
	}
	f := enrolmentFacts{Hostname: clean(e.Hostname)}
	for _, o := range e.Orders {
		f.Orders = append(f.Orders, orderFacts{
			Address: clean(o.Address.String()), Order: clean(o.Order), Enrolment: clean(o.Enrolment), Problem: clean(o.Problem),
			Next: o.Next.UTC().Format("2006-01-02 15:04 UTC"), Final: o.Final,
		})
	}
	w := texts.named[enrolment]
	subject, text, html, err := w.fill(f)
	if err != nil {
		return nil, fmt.Errorf("enrolment notice: %w", err)
	}
	m, err := notice{ID: e.ID, Hostname: e.Hostname, From: e.From, To: e.To, Now: e.Now}.message(subject, text, html)
	if err != nil {
		return nil, fmt.Errorf("enrolment notice: %w", err)
	}
	return m, nil
}
