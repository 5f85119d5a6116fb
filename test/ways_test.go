package test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

const (
	reader  = "bob@encrypt.example" // outside, with a certificate
	without = "none@strip.example"  // outside, without one
	far     = "mallory@far.example" // an author elsewhere
	local1  = "daemon@corp.example" // a user of the host with a .forward
)

// wayRules: whatever leaves must be encrypted.
const wayRules = `
[[rule]]
name = "colleagues"
recipient = ["corp.example"]
sign = "never"
encrypt = "never"

[[rule]]
name = "default"
sign = "prefer"
encrypt = "require"
mixed = "allow"
`

// site is a host with the set-up of README.md: a Postfix that delivers to our own
// mailboxes (home) and to the world (away).
type site struct {
	*deployment
	home *rig.Sink
}

// TestWaysIn sends by every way into a site. What is for recipients outside leaves
// encrypted or not at all, by whichever way it came and wherever it was expanded.
func TestWaysIn(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *world) *site{"filter": openFilterSite, "milter": openMilterSite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, newWorld(t))
			s.name = name
			for _, w := range s.ways() {
				t.Run(w.name, func(t *testing.T) { s.testWay(t, w) })
			}
			s.testNothingInTheClear(t)
		})
	}
}

func openFilterSite(t *testing.T, w *world) *site {
	ports, used := wayPorts(t, "10025", "10026", "10027", "10028", "10029", "smtp", "submission")
	s := newSite(t, w, local(ports["submission"]), local(ports["smtp"]))
	toml := strings.Replace(rig.Recipe(t, "toml filter", ports), "192.0.2.0/24", rig.Insider+"/32", 1)
	s.start(t, toml, []int{ports["10025"], ports["10026"], ports["10029"]}, rig.PostfixConfig{
		Ports: used("10027", "10028", "smtp", "submission"),
		Main:  rig.Recipe(t, "main.cf filter", ports), Master: rig.Recipe(t, "master.cf filter", ports),
	})
	return s
}

func openMilterSite(t *testing.T, w *world) *site {
	ports, used := wayPorts(t, "10024", "10025", "10027", "10028", "10029", "smtp")
	s := newSite(t, w, local(ports["smtp"]), local(ports["smtp"]))
	s.start(t, rig.Recipe(t, "toml milter", ports), []int{ports["10024"], ports["10025"], ports["10029"]}, rig.PostfixConfig{
		Ports: used("10027", "10028", "smtp"),
		Main:  rig.Recipe(t, "main.cf milter", ports),
		Master: fmt.Sprintf("%d inet n - n - - smtpd\n", ports["smtp"]) +
			rig.Recipe(t, "master.cf milter", ports),
	})
	return s
}

func wayPorts(t *testing.T, names ...string) (rig.Ports, func(...string) []int) {
	ports := rig.Ports{}
	for _, name := range names {
		ports[name] = loopback.FreePort(t)
	}
	return ports, func(names ...string) (used []int) {
		for _, name := range names {
			used = append(used, ports[name])
		}
		return used
	}
}

func newSite(t *testing.T, w *world, outbound, inbound string) *site {
	return &site{deployment: &deployment{world: w, sink: rig.StartSink(t), outbound: outbound, inbound: inbound}, home: rig.StartSink(t)}
}

// start runs the gateway and a Postfix that is the host of corp.example: "team" and
// "old" are aliases, the latter of local(8); so is erika, whose mail was encrypted.
func (s *site) start(t *testing.T, toml string, listeners []int, p rig.PostfixConfig) {
	t.Helper()
	config := strings.Replace(s.config(toml, queueIn(t)), rules, wayRules, 1)
	s.gateway = rig.StartGateway(t, program, config, listeners...)
	list := reader + ", " + without
	p.Main += `mydestination = corp.example
mynetworks = ` + rig.Insider + `/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_alias_maps = inline:{ {team@corp.example = ` + list + `} }
alias_maps = inline:{ {old = ` + list + `}, {erika = ` + list + `} }
forward_path = ` + rig.Forward(t, "daemon", list) + `
mailbox_transport = ` + hopTo(s.home) + "\n"
	p.Master = leaving(p.Master, s.sink) + "local unix - n n - - local\n"
	s.mta = rig.StartPostfix(t, p)
}

// way is one way in which a message comes to recipients outside.
type way struct {
	name   string
	author string
	to     []string
	hand   func(*testing.T, mail)
	signed bool // it is, in the name of its author
}

func (s *site) ways() []way {
	inside := func(t *testing.T, m mail) { s.transact(t, rig.Dial(t, s.outbound, rig.Insider), m) }
	outside := func(t *testing.T, m mail) { s.transact(t, rig.Dial(t, s.inbound, rig.Stranger), m) }
	printer := func(t *testing.T, m mail) { s.transact(t, rig.Dial(t, s.inbound, rig.Insider), m) }
	sendmail := func(t *testing.T, m mail) { s.mta.Sendmail(t, m.from, m.to, m.bytes()) }
	direct, team, old, forward := []string{reader, without}, []string{"team@corp.example"}, []string{"old@corp.example"}, []string{local1}
	expanded := s.name == "filter" // in front of the gateway
	return []way{
		{name: "submission", author: alice, to: direct, hand: inside, signed: true},
		{name: "submission, alias", author: alice, to: team, hand: inside, signed: expanded},
		{name: "submission, alias of local", author: alice, to: old, hand: inside},
		{name: "submission, forward", author: alice, to: forward, hand: inside},
		{name: "submission, all at once", author: alice, to: []string{reader, "team@corp.example", local1, "carol@corp.example"}, hand: inside, signed: true},
		{name: "port 25 from mynetworks", author: alice, to: direct, hand: printer, signed: true},
		{name: "port 25 from mynetworks, alias", author: alice, to: team, hand: printer, signed: expanded},
		{name: "port 25, alias", author: far, to: team, hand: outside},
		{name: "port 25, alias of local", author: far, to: old, hand: outside},
		{name: "port 25, forward", author: far, to: forward, hand: outside},
		{name: "port 25 in a colleague's name, alias", author: alice, to: team, hand: outside},
		{name: "port 25 in a colleague's name, forward", author: alice, to: forward, hand: outside},
		{name: "sendmail", author: alice, to: direct, hand: sendmail, signed: true},
		{name: "sendmail, alias", author: alice, to: team, hand: sendmail, signed: true},
		{name: "redirect by sendmail", author: far, to: direct, hand: s.redirected(sendmail)},
		{name: "redirect by SMTP", author: far, to: direct, hand: s.redirected(printer)},
		{name: "redirect in a colleague's name", author: alice, to: direct, hand: s.redirected(sendmail)},
		{name: "decrypted, alias of local", author: far, to: []string{erika}, hand: s.encryptedFirst(outside)},
	}
}

// redirected lets a message come in from outside, to carol, whose mailbox server
// hands it in again.
func (s *site) redirected(again func(*testing.T, mail)) func(*testing.T, mail) {
	return func(t *testing.T, m mail) {
		first := m
		first.to = []string{"carol@corp.example"}
		s.transact(t, rig.Dial(t, s.inbound, rig.Stranger), first)
		got := s.home.Wait(t, "the message for carol", func(d rig.Delivery) bool { return bytes.Contains(d.Data, []byte(m.id)) })
		m.verbatim = got.Data
		again(t, m)
	}
}

// encryptedFirst encrypts a message to erika, for whom the gateway decrypts.
func (s *site) encryptedFirst(hand func(*testing.T, mail)) func(*testing.T, mail) {
	return func(t *testing.T, m mail) {
		m.entity = s.encryptTo(t, m.entity, s.ids[erika])
		hand(t, m)
	}
}

func (s *site) testWay(t *testing.T, w way) {
	m := newMail(t, "bounces@far.example", w.to...)
	if strings.HasSuffix(w.author, "@corp.example") && !strings.Contains(w.name, "in a colleague's name") {
		m.from = w.author
	}
	m.author = w.author
	m.id = strings.ReplaceAll(s.name+" "+w.name, " ", ".") + "@test"
	w.hand(t, m)
	// What an alias leads to the same reader may come too, unsigned.
	got := s.sink.Wait(t, "the copy for "+reader, func(d rig.Delivery) bool {
		return contains(d.To, reader) && bytes.Contains(d.Data, []byte("<"+m.id+">"))
	})
	inner, err := s.openssl.Decrypt(got.Data)
	if err != nil {
		t.Fatalf("%s does not decrypt: %v\n%s", reader, err, got.Data)
	}
	if signed := bytes.Contains(bytes.ToLower(inner), []byte("pkcs7-signature")); signed != w.signed {
		t.Errorf("signed: %v\n%s", signed, inner)
	}
	if !w.signed && !bytes.Contains(inner, []byte(secret)) {
		t.Errorf("the text did not arrive:\n%s", inner)
	}
}

// testNothingInTheClear waits until everything has gone its way.
func (s *site) testNothingInTheClear(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for s.mta.Queued(t) != "" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("still in the queue of Postfix:\n%s", s.mta.Queued(t))
		}
	}
	for _, d := range s.sink.All() {
		if contains(d.To, without) || bytes.Contains(d.Data, []byte(secret)) {
			t.Errorf("left for %s:\n%s", d.To, d.Data)
		}
	}
	if len(s.home.All()) == 0 {
		t.Error("nothing arrived at home")
	}
}
