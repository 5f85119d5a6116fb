package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/message"
)

// habit is what a next hop does with a message for alice.
type habit string

const (
	reports habit = "reports success"
	refuses habit = "refuses"
	returns habit = "takes and returns"
	defers  habit = "defers and gives up"
)

// hop is the next hop, and the queue that leads to it.
type hop struct {
	t       *testing.T
	gateway *gateway.Gateway
	habit   habit

	mu             sync.Mutex
	opened, closed int        // messages by what became of them
	kept           int        // those in quarantine
	outside        []string   // what leaves the house
	returned       []returned // reports to addresses of the gateway's own
}

type returned struct {
	to  string
	msg []byte
}

// Deliver implements relay.Deliverer.
func (h *hop) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	errs := make([]error, len(d.Recipients))
	for i, r := range d.Recipients {
		errs[i] = h.take(d, r)
	}
	return errs, make([]bool, len(errs))
}

// Put implements relay.Queue: the queue tries once, and tells of what fails.
func (h *hop) Put(ctx context.Context, b relay.Batch) error {
	h.mu.Lock()
	h.kept += len(b.Holds())
	h.mu.Unlock()
	for _, d := range slices.Concat(b.Copies, b.Notices) {
		errs, _ := h.Deliver(ctx, d)
		for i, err := range errs {
			about := []relay.RecipientStatus{{Recipient: d.Recipients[i], Err: err}}
			kinds := []relay.EventKind{relay.Relayed}
			if err != nil {
				kinds = []relay.EventKind{relay.Delayed, relay.Failed}
			}
			for _, kind := range kinds {
				report, ok, err := h.gateway.Report(context.Background(), d, relay.Event{Kind: kind, About: about})
				if err != nil {
					return err
				}
				if ok {
					if err := h.Put(ctx, relay.Batch{Notices: []relay.Delivery{report}}); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// take is what the hop does with a message for one recipient.
func (h *hop) take(d relay.Delivery, r relay.Recipient) error {
	if to := r.Address.String(); to != alice {
		h.outside = append(h.outside, "to "+to+"\n"+string(d.Message.Bytes()))
		return nil
	}
	status := d.Message.Get("X-SMIME-Status")
	if strings.Contains(status, "decrypted=no") {
		h.closed++
	} else {
		h.opened++
	}
	words := fmt.Sprintf("%s; %s", d.Message.Get("Subject"), status)
	switch h.habit {
	case reports:
		if asked(r, "SUCCESS") {
			h.report(d, r, "delivered", "2.0.0", words)
		}
	case returns:
		if asked(r, "FAILURE") {
			h.report(d, r, "failed", "5.2.2", words)
		}
		if asked(r, "DELAY") {
			h.report(d, r, "delayed", "4.2.2", words)
		}
	case refuses:
		// The code depends on the text too.
		code := [3]int{5, 7, len(words) % 10}
		return &fault.Error{Kind: fault.Refused, Public: words, Reply: fault.Reply{Code: 550 + len(words)%5, Enhanced: code, Text: words}}
	case defers:
		return &fault.Error{Kind: fault.NextHop, Public: words, Reply: fault.Reply{Code: 451, Enhanced: [3]int{4, 7, len(words) % 10}, Text: words}}
	}
	return nil
}

// asked reports whether a report is wanted; without NOTIFY all but success is.
func asked(r relay.Recipient, word string) bool {
	if len(r.Notify) == 0 {
		return word != "SUCCESS"
	}
	for _, n := range r.Notify {
		if n == word {
			return true
		}
	}
	return false
}

// report sends a report as Postfix does: with the header, or with all of it.
func (h *hop) report(d relay.Delivery, r relay.Recipient, action, status, words string) {
	kind, content := "text/rfc822-headers", d.Message.Header()
	if d.Params.Return != "HDRS" && action == "failed" {
		kind, content = "message/rfc822", d.Message.Bytes()
	}
	text := "From: MAILER-DAEMON@mx.own.example\r\nTo: " + d.Sender.String() + "\r\nSubject: " + action + ": " + words + "\r\nAuto-Submitted: auto-replied\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=BOUNDARY\r\n\r\n--BOUNDARY\r\n\r\n" + words +
		"\r\n--BOUNDARY\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.own.example\r\n\r\nOriginal-Recipient: " +
		r.OriginalType + ";" + r.Original + "\r\nFinal-Recipient: rfc822; " + r.Address.String() + "\r\nAction: " + action + "\r\nStatus: " + status +
		"\r\nDiagnostic-Code: smtp; " + words + "\r\n\r\n--BOUNDARY\r\nContent-Type: " + kind + "\r\n\r\n" + string(content) + "\r\n--BOUNDARY--\r\n"
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	if _, err := message.Parse([]byte(text)); err != nil {
		h.t.Fatal(err)
	}
	if strings.HasSuffix(d.Sender.String(), "@gw.own.example") {
		h.returned = append(h.returned, returned{d.Sender.String(), []byte(text)})
		return
	}
	h.outside = append(h.outside, "to "+d.Sender.String()+"\n"+text)
}
