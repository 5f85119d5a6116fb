package dsn

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

func parse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func parseMessage(t *testing.T, s string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sample(t *testing.T) Report {
	return Report{
		ID: "a1b2", Hostname: "gw.example.org",
		From: parse(t, "postmaster@example.org"), To: parse(t, "alice@example.org"),
		EnvelopeID: "QQ 314159+x",
		Arrived:    time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Now:        time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC),
		Recipients: []Recipient{{
			Address: parse(t, "bob@example.net"), OriginalType: "rfc822", Original: "bobby@example.net",
			Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "no valid S/MIME certificate for bob@example.net: expired 2026-03-01"},
		}},
		Original: parseMessage(t, "From: alice@example.org\nTo: bob@example.net\nBcc: eve@example.com\nResent-Bcc: eve@example.com\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nthe secret text\n"),
	}
}

// build builds and checks what holds for every report: 7-bit, short lines, no
// bare line ends, three parts at most, and never the body.
func build(t *testing.T, r Report) *message.Message {
	t.Helper()
	m, err := Build(r)
	if err != nil {
		t.Fatal(err)
	}
	raw := m.Bytes()
	for _, line := range bytes.Split(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("bad line %q", line)
		}
	}
	if i := bytes.IndexFunc(raw, func(r rune) bool { return r > '~' }); i >= 0 {
		t.Errorf("not 7-bit at %d: %q", i, raw[max(0, i-20):i+20])
	}
	if bytes.Contains(raw, []byte("secret text")) {
		t.Errorf("the body comes back:\n%s", raw)
	}
	if root := m.Root(); root.MediaType != "multipart/report" || len(root.Children) > 3 || !root.Closed {
		t.Errorf("structure: %s with %d parts", root.MediaType, len(root.Children))
	}
	return m
}

// groups returns the field groups of the status part: RFC 3464 section 2.1.
func groups(t *testing.T, m *message.Message) []textproto.MIMEHeader {
	t.Helper()
	part := m.Root().Children[1]
	if part.MediaType != "message/delivery-status" {
		t.Fatalf("second part is %s", part.MediaType)
	}
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.Clone(part.Content()), "\r\n\r\n"...))))
	var all []textproto.MIMEHeader
	for {
		h, err := r.ReadMIMEHeader()
		if len(h) > 0 {
			all = append(all, h)
		}
		if err != nil {
			return all
		}
		if len(h) == 0 {
			return all
		}
	}
}

func TestFailedReport(t *testing.T) {
	m := build(t, sample(t))
	for name, want := range map[string]string{
		"From": "Mail gateway <postmaster@example.org>", "To": "alice@example.org",
		"Auto-Submitted": "auto-replied", "Message-ID": "<a1b2@gw.example.org>",
	} {
		if got := m.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	g := groups(t, m)
	if len(g) != 2 {
		t.Fatalf("%d groups of fields, want 2", len(g))
	}
	for name, want := range map[string]string{"Original-Envelope-Id": "QQ 314159+x", "Reporting-Mta": "dns; gw.example.org", "Arrival-Date": "Sun, 01 Mar 2026 10:00:00 +0000"} {
		if got := g[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"Original-Recipient": "rfc822; bobby@example.net", "Final-Recipient": "rfc822; bob@example.net",
		"Action": "failed", "Status": "5.7.1",
		"Diagnostic-Code": "smtp; 550 5.7.1 no valid S/MIME certificate for bob@example.net: expired 2026-03-01",
	} {
		if got := g[1].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	header, err := m.Root().Children[2].Decode()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(header); strings.Contains(s, "eve@") || !strings.Contains(s, "To: bob@example.net\r\n") {
		t.Errorf("quoted header:\n%s", s)
	}
}

func TestStatusAgreesWithAction(t *testing.T) {
	r := sample(t)
	r.Kind = Delayed
	r.Recipients[0].Reply = fault.Reply{Code: 451, Enhanced: [3]int{4, 4, 1}, Text: "later"}
	if g := groups(t, build(t, r)); g[1].Get("Action") != "delayed" || g[1].Get("Status") != "4.4.1" {
		t.Errorf("delayed: %v", g[1])
	}
	r.Kind = Failed // gave up: the last reply was temporary
	if g := groups(t, build(t, r)); g[1].Get("Action") != "failed" || g[1].Get("Status") != "5.0.0" {
		t.Errorf("given up: %v", g[1])
	}
}

func TestStrippedNoticeNamesEverybody(t *testing.T) {
	r := sample(t)
	r.Kind = Stripped
	r.Recipients = append(r.Recipients, Recipient{Address: parse(t, "carol@example.net"), Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "none found"}})
	m := build(t, r)
	text, err := m.Root().Children[0].Decode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bob@example.net", "expired 2026-03-01", "carol@example.net", "none found", "but not to"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if g := groups(t, m); len(g) != 3 {
		t.Errorf("%d groups, want 3", len(g))
	}
}

func TestNothingCanBeInjected(t *testing.T) {
	evil := "x\r\nBcc: evil@example.com\r\n\r\n--report-a1b2\nContent-Type: text/html\r\n\x00\x1bü\u2028" + strings.Repeat("y", 3000)
	r := sample(t)
	r.ID, r.EnvelopeID = "a1b2\r\nX: y", evil
	r.Recipients[0].Original, r.Recipients[0].OriginalType = evil, evil
	r.Recipients[0].Reply.Text, r.Recipients[0].RemoteMTA = evil, evil
	r.Hostname = "gw.example.org" // our own, from the configuration
	r.Original = parseMessage(t, "Subject: --report-a1b2XyZ\nX-8bit: ü\n\nx\n")
	m := build(t, r)
	if m.Has("Bcc") || len(m.Root().Children) != 3 {
		t.Errorf("injected:\n%s", m.Bytes())
	}
	for i, g := range groups(t, m) {
		if g.Get("Bcc") != "" || g.Get("Content-Type") != "" || i > 1 {
			t.Errorf("injected into the status: %v", g)
		}
	}
}

func TestAddressesBeyondASCII(t *testing.T) {
	r := sample(t)
	r.To = parse(t, "grüße@example.org")
	r.Recipients[0].Address = parse(t, "bücher@bücher.example")
	r.Recipients[0].OriginalType, r.Recipients[0].Original = "utf-8", "bücher@bücher.example"
	g := groups(t, build(t, r))
	if got, want := g[1].Get("Final-Recipient"), `utf-8; b\x{FC}cher@xn--bcher-kva.example`; got != want {
		t.Errorf("Final-Recipient %q, want %q", got, want)
	}
	if got, want := g[1].Get("Original-Recipient"), `utf-8; b\x{FC}cher@b\x{FC}cher.example`; got != want {
		t.Errorf("Original-Recipient %q, want %q", got, want)
	}
}

func TestNoReportToNobody(t *testing.T) {
	r := sample(t)
	r.To = address.Null
	if m, err := Build(r); err == nil {
		t.Errorf("a report to the null sender:\n%s", m.Bytes())
	}
}
