package dsn

import (
	"fmt"
	"strings"
	"testing"
)

func TestReadFailures(t *testing.T) {
	m := parseMessage(t, "Content-Type: multipart/report; report-type=delivery-status; boundary=b\nMIME-Version: 1.0\n\n--b\n\nno\n"+
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\nAction: failed\n\n"+
		"Original-Recipient: rfc822;first@example.org\nFinal-Recipient: rfc822; <a@example.org>\nAction: failed (no)\n\n\n"+
		"Final-Recipient: RFC822;\n b@example.org\naction: FAILED\n\nFinal-Recipient: rfc822; c@example.org\nAction: delayed\n\n"+
		"Final-Recipient: x400; /c=de\nAction: failed\n\n--b--\n")
	if !IsReport(m) {
		t.Error("not a report")
	}
	got := fmt.Sprint(Failures(m))
	// The first group is about the message, whatever stands in it.
	if got != "[{first@example.org a@example.org} { b@example.org} { }]" {
		t.Errorf("failures %s", got)
	}
	if IsReport(parseMessage(t, "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b--\n")) {
		t.Error("a receipt is a report of delivery")
	}
}

// A field is found in whatever a server returns of the header.
func TestReturnedFields(t *testing.T) {
	header := "Received: x\nX-Place: one\n\ttwo\nSubject: X-Place: no\n"
	for name, m := range map[string]string{
		"headers": "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/rfc822-headers\n\n" + header + "\n--b--\n",
		"message": "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" + header + "\nbody\n--b--\n",
		"text":    "Subject: failure notice\n\nHi. This is it:\n\n" + header + "\nbody\n",
		"encoded": "Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.ReplaceAll(header, "Place", "=50lace"),
	} {
		if got := Returned(parseMessage(t, m), "x-place"); len(got) != 1 || strings.Join(strings.Fields(got[0]), " ") != "one two" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestRelayedAndDelayed(t *testing.T) {
	r := sample(t)
	r.Kind, r.Original, r.MessageID, r.Date = Relayed, nil, "<m@x>", "Mon, 1 Dec 2025 10:00:00 +0000"
	r.Recipients[0].Reply.Code = 0
	m := build(t, r)
	if g := groups(t, m); g[1].Get("Action") != "relayed" || g[1].Get("Status") != "2.0.0" || g[1].Get("Diagnostic-Code") != "" {
		t.Errorf("status %v", g)
	}
	if last := m.Root().Children[2]; last.MediaType != "text/rfc822-headers" || !strings.Contains(string(last.Content()), "Message-ID: <m@x>\r\nDate: Mon, 1 Dec 2025") {
		t.Errorf("third part %s", last.Bytes())
	}
	if text := textOf(t, r); !strings.Contains(text, "<m@x>") || !strings.Contains(text, "1 Dec 2025") {
		t.Errorf("text %s", text)
	}
	r = sample(t)
	r.Kind, r.Until = Delayed, r.Now.AddDate(0, 0, 5)
	r.Recipients[0].RemoteMTA = "mx.example.net"
	if g := groups(t, build(t, r)); g[1].Get("Action") != "delayed" || g[1].Get("Will-Retry-Until") == "" || g[1].Get("Remote-MTA") != "dns; mx.example.net" {
		t.Errorf("status %v", g)
	}
	if text := textOf(t, r); !strings.Contains(text, "keep trying until 2026-03-06") || !strings.Contains(text, "host mx.example.net said: 550 5.7.1 no valid") {
		t.Errorf("text %s", text)
	}
}
