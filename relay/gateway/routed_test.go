package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// An address that an MTA behind takes for another one is refused by each
// listener, in each direction: the rules would be those of the wrong recipient,
// and a stranger could send through us to anywhere.
func TestRoutedRecipients(t *testing.T) {
	w := newWorld(t)
	refused := []string{
		"bob%enc.example@own.example", "enc.example!bob@own.example", `"bob@enc.example"@own.example`,
		`"bob%enc.example"@OWN.example`, "bob%enc.example@own.example.", "bob/x@own.example", `"/c=de/s=eve/"@own.example`,
		"bob%enc.example@mail.own.example", "bob%enc.example@gw.own.example", "bob%enc.example@localhost",
		"bob%enc.example@mx.provider.example", "bob%enc.example@provider.example", "bob%enc.example@LOCALHOST.localdomain",
		"alice@[127.0.0.1]", "bob%enc.example@[192.0.2.1]", "alice@[IPv6:::1]", "alice@127.0.0.1", "alice@127.1", "alice@0x7f.0x1",
	}
	allowed := []string{
		"alice@own.example", "alice+tag=x#y@own.example", `"odd name"@own.example`, "o'neil&co@own.example",
		"a%b@far.example", "far.example!a@far.example", `"a@b"@far.example`, "prvs/1=a@far.example", "a%b@provider.example.far.example",
	}
	check := func(to, listener string) error {
		a, err := address.ParsePath("<" + to + ">")
		if err != nil {
			t.Fatal(err)
		}
		env := w.envelope(listener, "alice@own.example")
		env.MTA = "MX.provider.example"
		if listener == "auto" {
			env.Client.User = "alice"
		}
		return w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: a})
	}
	for _, listener := range []string{"in", "out", "auto"} {
		for _, to := range refused {
			if err := check(to, listener); err == nil || relay.ReplyFor(err).Code != 550 || fmt.Sprint(relay.ReplyFor(err).Enhanced) != "[5 1 3]" {
				t.Errorf("%s: %s: %v", listener, to, err)
			}
		}
		for _, to := range allowed {
			if err := check(to, listener); err != nil {
				t.Errorf("%s: %s: %v", listener, to, err)
			}
		}
	}
	w.config.AllowRouted = true
	w.start()
	for _, to := range refused {
		if err := check(to, "in"); err != nil {
			t.Errorf("allowed by configuration: %s: %v", to, err)
		}
	}
}

// RFC 5321 section 4.5.1: the postmaster is reached without a domain, also where
// the host is in no local domain.
func TestPostmasterIsNoRelaying(t *testing.T) {
	w := newWorld(t)
	w.config.Hostname, w.config.Postmaster = "elsewhere.example", w.addr("postmaster@elsewhere.example")
	w.start()
	env := w.envelope("auto", "stranger@far.example")
	env.Client = relay.Client{}
	for to, ok := range map[string]bool{"postmaster@elsewhere.example": true, "other@elsewhere.example": false} {
		if err := w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: w.addr(to)}); (err == nil) != ok {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestExplainRoutedRecipients(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("", "alice@own.example", "bob%enc.example@own.example", bob)
	x, err := w.gateway.Explain(context.Background(), env, nil)
	if err != nil || len(x.Recipients) != 2 {
		t.Fatalf("%+v, %v", x, err)
	}
	if r := x.Recipients[1]; r.Address != "bob%enc.example@own.example" || r.Outcome != "refused" || !strings.HasPrefix(r.Reply, "550 5.1.3") || r.Rule != "" {
		t.Errorf("%+v", r)
	}
	if r := x.Recipients[0]; r.Address != bob || r.Outcome != "signed, encrypted" {
		t.Errorf("%+v", r)
	}
}
