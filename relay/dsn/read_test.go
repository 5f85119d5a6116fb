package dsn

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestReadFailures(t *testing.T) {
	m := parseMessage(t, "Content-Type: multipart/report; report-type=delivery-status; boundary=b\nMIME-Version: 1.0\n\n--b\n\nno\n"+
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\nAction: failed\n\n"+
		"Original-Recipient: rfc822;first@example.org\nFinal-Recipient: rfc822; <a@example.org>\nAction: failed (no)\nDiagnostic-Code: smtp;  550\x00 5.1.1\n no böx\n\n\n"+
		"Final-Recipient: RFC822;\n b@example.org\naction: FAILED\n\nFinal-Recipient: rfc822; c@example.org\nAction: delayed\n\n"+
		"Final-Recipient: x400; /c=de\nAction: failed\nStatus: 5.1.1 (no\x07 such)\n\n--b--\n")
	if !IsReport(m) {
		t.Error("not a report")
	}
	got := fmt.Sprint(Failures(m))
	// The first group is about the message, whatever stands in it.
	if got != "[{failed first@example.org a@example.org 550 5.1.1 no b?x} {failed  b@example.org } {failed   5.1.1 (no such)}]" {
		t.Errorf("failures %s", got)
	}
	if IsReport(parseMessage(t, "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b--\n")) {
		t.Error("a receipt is a report of delivery")
	}
}

// What a report returns is no part of what it says, and what two readers may read in two ways says
// nothing; nor does more than anyone writes about the recipients of one message.
func TestReadFailuresOfHostileReports(t *testing.T) {
	const failed = "Final-Recipient: rfc822; a@example.org\nAction: failed\n\n"
	status := func(fields, groups string) string {
		return "--b\nContent-Type: message/delivery-status\n" + fields + "\nReporting-MTA: dns; x\n\n" + groups
	}
	report := func(parts string) string {
		return "Content-Type: multipart/report; report-type=delivery-status; boundary=b\nMIME-Version: 1.0\n\n" + parts + "--b--\n"
	}
	signed := func(text string) string {
		return "Content-Type: multipart/signed; boundary=s; protocol=\"application/pkcs7-signature\"\nMIME-Version: 1.0\n\n--s\n" + text +
			"\n--s\nContent-Type: application/pkcs7-signature\n\nx\n--s--\n"
	}
	delayed := strings.Replace(failed, "failed", "delayed", 1)
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"as it should be":       {report(status("", failed)), 1},
		"in base64":             {report("--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte("A: b\n\n"+failed)) + "\n"), 1},
		"in what is returned":   {report(status("", delayed) + "--b\nContent-Type: message/rfc822\n\n" + strings.ReplaceAll(report(status("", failed)), "b", "c")), 0},
		"in a part of a part":   {report(status("", delayed) + "--b\nContent-Type: multipart/mixed; boundary=c\n\n" + strings.ReplaceAll(status("", failed), "--b", "--c") + "--c--\n"), 0},
		"signed":                {signed(report(status("", failed))), 1},
		"signed twice":          {signed(strings.NewReplacer("--s", "--r", "boundary=s", "boundary=r").Replace(signed(report(status("", failed))))), 0},
		"the second of two":     {"Content-Type: multipart/signed; boundary=s\nMIME-Version: 1.0\n\n--s\n\nhello\n--s\n" + report(status("", failed)) + "\n--s--\n", 0},
		"two types of all":      {"Content-Type: text/plain\n" + report(status("", failed)), 0},
		"signed, of two types":  {"Content-Type: text/plain\n" + signed(report(status("", failed))), 0},
		"two types":             {report(status("Content-Type: text/plain\n", failed)), 0},
		"two actions":           {report(status("", strings.Replace(failed, "Action", "Action: delayed\nAction", 1))), 0},
		"two recipients in one": {report(status("", "Final-Recipient: rfc822; b@example.org\n"+failed)), 0},
		"not base64":            {report(status("Content-Transfer-Encoding: base64\n", "!!!!"+failed)), 0},
		"too many":              {report(status("", strings.Repeat(failed, maxStatuses+7))), maxStatuses},
		"too large":             {report(status("", "X: "+strings.Repeat("x", 900)+"\n"+failed+strings.Repeat("X-Y: "+strings.Repeat("y", 900)+"\n", maxStatus/900))), 0},
	} {
		if got := Failures(parseMessage(t, c.text)); len(got) != c.want {
			t.Errorf("%s: %d failures, want %d", name, len(got), c.want)
		}
	}
	long := Failures(parseMessage(t, report(status("", "Diagnostic-Code: smtp; "+strings.Repeat("x", 950)+"\n"+failed))))
	if len(long) != 1 || len(long[0].Reason) != maxReasonSize {
		t.Errorf("the reason is %v", long)
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
