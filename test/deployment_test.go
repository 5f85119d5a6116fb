package test

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// deployment is a gateway in one of the ways that README.md describes, with the MTA
// and the next hop around it.
type deployment struct {
	*world
	name    string
	sink    *rig.Sink
	gateway *rig.Gateway
	mta     *rig.Postfix // nil for the relay
	// settings is the configuration of the gateway, where a test changes it.
	settings string
	// outbound and inbound are where clients of either kind connect.
	outbound, inbound string
	// guest is where clients connect who may not sign as everybody.
	guest string
	// perRecipient: refusals come from the MTA, by report, and not while the
	// client waits.
	perRecipient bool
}

// deployments start a gateway in each of the ways, by name.
var deployments = map[string]func(*testing.T, *world) *deployment{
	"filter": openFilter,
	"milter": openMilter,
	"relay":  openRelay,
}

// TestDeployments runs every case in every deployment.
func TestDeployments(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, newWorld(t))
			d.name = name
			t.Run("shapes", d.testShapes)
			t.Run("recipients", d.testRecipients)
			t.Run("rules", d.testRules)
			t.Run("policy", d.testPolicy)
			t.Run("groups", d.testGroups)
			t.Run("aliases", d.testAliases)
			t.Run("sessions", d.testSessions)
			t.Run("claims", d.testClaims)
			t.Run("inbound", d.testInbound)
			t.Run("forms", d.testForms)
			t.Run("harvest", d.testHarvest)
			t.Run("directory down", d.testDirectoryDown)
			t.Run("leaks", d.testLeaks)
		})
	}
}

func openFilter(t *testing.T, w *world) *deployment {
	out, in, back, exit, forward := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	submission, smtp := loopback.FreePort(t), loopback.FreePort(t)
	guests, guest := loopback.FreePort(t), loopback.FreePort(t)
	ports := rig.Ports{"10025": out, "10026": in, "10027": back, "10028": exit, "10029": forward, "submission": submission, "smtp": smtp}
	d := &deployment{world: w, sink: rig.StartSink(t), perRecipient: true, outbound: local(submission), inbound: local(smtp), guest: local(guest)}
	d.gateway = rig.StartGateway(t, program,
		w.config(rig.Recipe(t, "toml filter", ports)+guestListener("lmtp", guests), queueIn(t)), out, in, forward, guests)
	d.mta = rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{submission, smtp, back, exit, guest},
		Main:  d.mailboxes() + rig.Recipe(t, "main.cf filter", ports),
		Master: leaving(rig.Recipe(t, "master.cf filter", ports), d.sink) + fmt.Sprintf("%d inet n - n - - smtpd\n"+
			"  -o content_filter=lmtp:[127.0.0.1]:%d\n  -o receive_override_options=no_address_mappings\n", guest, guests),
	})
	return d
}

func openMilter(t *testing.T, w *world) *deployment {
	milter, back, smtp, exit, forward, sendmail := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	guests, guest := loopback.FreePort(t), loopback.FreePort(t)
	ports := rig.Ports{"10024": milter, "10025": sendmail, "10027": back, "10028": exit, "10029": forward}
	d := &deployment{world: w, sink: rig.StartSink(t), outbound: local(smtp), inbound: local(smtp), guest: local(guest)}
	d.gateway = rig.StartGateway(t, program,
		w.config(rig.Recipe(t, "toml milter", ports)+guestListener("milter", guests), queueIn(t)), milter, sendmail, forward, guests)
	d.mta = rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{smtp, back, exit, guest},
		Main:  d.mailboxes() + rig.Recipe(t, "main.cf milter", ports),
		Master: fmt.Sprintf("%d inet n - n - - smtpd\n%d inet n - n - - smtpd\n"+
			"  -o smtpd_milters=inet:127.0.0.1:%d\n  -o smtpd_authorized_xclient_hosts=127.0.0.0/8\n", smtp, guest, guests) +
			leaving(rig.Recipe(t, "master.cf milter", ports), d.sink),
	})
	return d
}

func openRelay(t *testing.T, w *world) *deployment {
	sink := rig.StartSink(t)
	relay, guest := loopback.FreePort(t), loopback.FreePort(t)
	ports := rig.Ports{"2525": relay, "10028": portOf(sink.Addr())}
	d := &deployment{world: w, sink: sink, outbound: local(relay), inbound: local(relay), guest: local(guest)}
	d.gateway = rig.StartGateway(t, program,
		w.config(rig.Recipe(t, "toml relay", ports)+guestListener("smtp", guest), queueIn(t)), relay, guest)
	return d
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func queueIn(t *testing.T) string { return filepath.Join(t.TempDir(), "queue.db") }

func portOf(addr string) int {
	port, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	return port
}

// mailboxes sends what is for our own domain to the sink.
func (d *deployment) mailboxes() string {
	return "relay_domains = corp.example\nrelay_transport = " + hopTo(d.sink) + "\n"
}

// leaving sends what leaves by the exit to a sink, as to a relayhost.
func leaving(master string, to *rig.Sink) string {
	return strings.ReplaceAll(master, "content_filter=smtp:\n", "content_filter="+hopTo(to)+"\n")
}

func hopTo(s *rig.Sink) string { return fmt.Sprintf("smtp:[127.0.0.1]:%d", portOf(s.Addr())) }

// outcome is what became of a recipient as far as the sender can tell at once.
type outcome struct {
	word string // accepted, refused or deferred
	text string
}

// send hands a message in from inside, and returns the outcome of each recipient.
func (d *deployment) send(t *testing.T, m mail) map[string]outcome {
	t.Helper()
	return d.transact(t, rig.Dial(t, d.outbound, rig.Insider), m)
}

// receive hands a message in from outside.
func (d *deployment) receive(t *testing.T, m mail) map[string]outcome {
	t.Helper()
	return d.transact(t, rig.Dial(t, d.inbound, rig.Stranger), m)
}

func (d *deployment) transact(t *testing.T, c *rig.Client, m mail) map[string]outcome {
	t.Helper()
	got := c.Send(m.from, m.to, m.bytes())
	if !got.Mail.Positive() {
		t.Fatalf("MAIL FROM:<%s>: %v", m.from, got.Mail)
	}
	outcomes := map[string]outcome{}
	for _, addr := range m.to {
		reply := got.Rcpt[addr]
		if reply.Positive() {
			reply = got.Data
		}
		outcomes[addr] = outcomeOf(reply)
		if d.perRecipient && outcomes[addr].word == "accepted" {
			outcomes[addr] = d.delivery(t, m.id, addr)
		}
	}
	return outcomes
}

func outcomeOf(r rig.Reply) outcome {
	switch {
	case r.Positive():
		return outcome{"accepted", r.Text}
	case r.Code < 500:
		return outcome{"deferred", r.String()}
	}
	return outcome{"refused", r.String()}
}

var words = map[string]string{"sent": "accepted", "bounced": "refused", "deferred": "deferred"}

// delivery reads in the log of Postfix what our LMTP answered for a recipient.
func (d *deployment) delivery(t *testing.T, id, addr string) outcome {
	t.Helper()
	queue := d.mta.WaitLog(t, `cleanup\[\d+\]: (\w+): message-id=<`+regexp.QuoteMeta(id)+`>`)[1]
	m := d.mta.WaitLog(t, `lmtp\[\d+\]: `+queue+`: to=<`+regexp.QuoteMeta(addr)+`>, .*status=(\w+) \((.*)\)`)
	return outcome{words[m[1]], m[2]}
}

// want fails the test where a recipient's outcome is another than the word given.
func want(t *testing.T, outcomes map[string]outcome, addr, word string) {
	t.Helper()
	if outcomes[addr].word != word {
		t.Errorf("%s: %s (%s), want %s", addr, outcomes[addr].word, outcomes[addr].text, word)
	}
}

// arrived waits for the copy of m that addr gets.
func (d *deployment) arrived(t *testing.T, m mail, addr string) rig.Delivery {
	t.Helper()
	return d.sink.Wait(t, "the copy for "+addr, func(got rig.Delivery) bool {
		return got.From != "" && contains(got.To, addr) && strings.Contains(string(got.Data), "<"+m.id+">")
	})
}

// notified waits for a message of the gateway or the MTA to the sender that names
// addr.
func (d *deployment) notified(t *testing.T, sender, addr string) rig.Delivery {
	t.Helper()
	return d.sink.Wait(t, "a report to "+sender+" that names "+addr, func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, sender) && strings.Contains(string(got.Data), addr)
	})
}

func contains(list []string, addr string) bool {
	for _, s := range list {
		if strings.EqualFold(s, addr) {
			return true
		}
	}
	return false
}
