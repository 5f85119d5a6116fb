package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/postfix"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/service/setup"
	"github.com/smimerelay/smimerelay/test/rig"
)

// existing is a Postfix with a limit of its own.
func existing(t *testing.T, limit int) *postfix.Settings {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.cf":   fmt.Sprintf("compatibility_level = 3.6\nmessage_size_limit = %d\nmailbox_size_limit = %d\n", limit, limit),
		"master.cf": "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\npickup unix n - n 60 1 pickup\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// postconf waits until a file has not been changed for a while.
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := postfix.Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// TestSizesOfInit: with the limits that init writes, Postfix accepts again what it had from a
// client, also when it has grown, and refuses at once what is too large.
func TestSizesOfInit(t *testing.T) {
	const limit = 300_000
	mta := existing(t, limit)
	answers := setup.Answers{Domains: []string{"corp.example"}, Hostname: "gw.test", Way: "filter", Rules: "opportunistic", State: t.TempDir()}
	text, err := answers.Config(mta)
	if err != nil {
		t.Fatal(err)
	}
	_, limits, found := strings.Cut(text, "[limits]\n")
	if limits, _, _ = strings.Cut(limits, "\n\n"); !found {
		t.Fatalf("no limits in\n%s", text)
	}
	out, in, back, exit, forward := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	submission, smtp := loopback.FreePort(t), loopback.FreePort(t)
	ports := rig.Ports{"10025": out, "10026": in, "10027": back, "10028": exit, "10029": forward, "submission": submission, "smtp": smtp}
	w := newWorld(t)
	d := &deployment{world: w, sink: rig.StartSink(t), perRecipient: true, outbound: local(submission), inbound: local(smtp)}
	d.gateway = rig.StartGateway(t, program, w.config(rig.Recipe(t, "toml filter", ports), queueIn(t))+"\n[limits]\n"+limits+"\n", out, in, forward)
	main, master := answers.Lines(mta)
	d.mta = rig.StartPostfix(t, rig.PostfixConfig{
		Ports:  []int{submission, smtp, back, exit},
		Main:   d.mailboxes() + ports.In(t, main),
		Master: leaving(ports.In(t, master), d.sink),
	})
	large := newMail(t, alice, "bob@both.example")
	line := strings.Repeat("\xc3\xa4", 35) + "\r\n" // quoted-printable makes three times as much of it
	large.entity = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + strings.Repeat(line, (limit-len(large.bytes())-200)/len(line))
	want(t, d.send(t, large), large.to[0], "accepted")
	got := d.arrived(t, large, large.to[0])
	t.Logf("%d octets have become %d", len(large.bytes()), len(got.Data))

	larger := large
	larger.id = "larger." + large.id
	larger.entity += strings.Repeat(line, 2000/len(line))
	reply := rig.Dial(t, d.outbound, rig.Insider).Send(larger.from, larger.to, larger.bytes())
	if reply.Mail.Positive() && reply.Data.Code != 552 {
		t.Errorf("a message that is too large: %v, %v", reply.Mail, reply.Data)
	}
}
