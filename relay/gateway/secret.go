package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// secretField carries the Secret, sealed, in a message that leaves under an address
// of the gateway's own: a server that returns the header returns it too.
const secretField = "X-SMIME-Origin" //nolint:gosec // G101: a field name, no secret

const (
	// maxNamed is how many recipients the field names.
	maxNamed = 50
	// maxPlace is how much is kept of Message-ID and Date.
	maxPlace = 250
)

// conceal makes d a delivery about which nothing is reported to its sender but what
// Secret has. The result of decryption must not change anything here.
//
// Where silent says that a failure may not be reported either, the delivery has the null
// sender: no server behind the gateway can report to the outside.
func (g *Gateway) conceal(env *relay.Envelope, received *message.Message, d relay.Delivery, silent bool) (relay.Delivery, error) {
	d.Secret = &relay.Secret{
		Sender: env.Sender, EnvelopeID: env.Params.EnvID, Arrived: g.Clock(),
		MessageID: place(received.Get("Message-ID")), Date: place(received.Get("Date")), To: d.Recipients,
		Silent: silent,
	}
	// RFC 3461 section 4.3: a report of failure returns the header only.
	d.Params.Return = "HDRS"
	d.Recipients = nil
	for _, r := range d.Secret.To {
		r.Notify = []string{failureOnly(r)}
		if silent {
			r.Notify = []string{"NEVER"}
		}
		if r.Original == "" {
			// So that a report names the address that the sender wrote to, and
			// not one that a server behind us made of it.
			r.OriginalType, r.Original = originalType(r.Address), r.Address.String()
		}
		d.Recipients = append(d.Recipients, r)
	}
	if silent {
		d.Sender, d.Params.EnvID = address.Null, ""
		return d, nil
	}
	if g.ReturnPath == nil || g.Inbound.KeepSender || env.Sender.IsNull() || g.ReturnPath.Claims(env.Sender) {
		return d, nil
	}
	var err error
	if d.Sender, err = g.ReturnPath.Address(env.Sender, g.Clock()); err == nil {
		d.Message, err = g.attachSecret(d)
	}
	if err != nil {
		return d, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	return d, nil
}

// attachSecret returns the message with its Secret in the header.
func (g *Gateway) attachSecret(d relay.Delivery) (*message.Message, error) {
	named := *d.Secret
	named.To = named.To[:min(len(named.To), maxNamed)]
	plain, err := json.Marshal(named)
	if err != nil {
		return nil, err
	}
	f, err := message.NewField(secretField, g.ReturnPath.Seal(plain))
	if err != nil {
		return nil, err
	}
	return d.Message.Apply(message.Change{Prepend: []message.Field{f}})
}

// failureOnly is the NOTIFY of a recipient of whose message only failures may be
// reported (RFC 3461 section 4.1): a report of success would return the header with
// the result in it, and a delay may be the work of a filter that reads the text.
func failureOnly(r relay.Recipient) string {
	if wantsFailure(r) {
		return "FAILURE"
	}
	return "NEVER"
}

// originalType is the addr-type of ORCPT: RFC 3461 section 4.2, RFC 6533 section 3.
func originalType(a address.Address) string {
	if a.ASCII() {
		return "rfc822"
	}
	return "utf-8"
}

// place is one line of ASCII of what stands in a field.
func place(value string) string {
	value = strings.TrimSpace(ascii(value))
	return value[:min(len(value), maxPlace)]
}

// findSecret returns the Secret that a header holds if it belongs to what the
// address stands for.
func (g *Gateway) findSecret(values []string, stands returnpath.Stands) (*relay.Secret, error) {
	for _, v := range values {
		plain, err := g.ReturnPath.Open(v)
		if err != nil {
			continue
		}
		o := &relay.Secret{}
		if err := json.Unmarshal(plain, o); err != nil {
			return nil, fmt.Errorf("%s: %w", secretField, err)
		}
		if stands.For(o.Sender) {
			return o, nil
		}
	}
	return nil, nil
}

// encrypted reports whether a message held something encrypted when it came in: by
// its form, and by what was met before the first decryption.
func encrypted(in *arrival, groups []readers) bool {
	return in.kind.Encrypted || slices.ContainsFunc(groups, func(r readers) bool {
		return slices.Contains(r.opened.Report.Layers, "enveloped") || r.opened.Report.Encryption != nil
	})
}
