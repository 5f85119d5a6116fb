package gateway

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/htmlindex"
	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// evasiveRules demand encryption of what the forms below have in them, and each
// makes one exception, which only the content that is meant may use.
func evasiveRules() []enforce.Rule {
	lax := enforce.Rule{Sign: "never", Encrypt: "require", Calendar: "leave"}
	rules := []enforce.Rule{
		{Name: "subject", Recipient: []string{"subject.example"}, Subject: []string{"secret"}, Encrypt: "require"},
		{Name: "attachment", Recipient: []string{"attachment.example"}, Attachment: []string{"*.xlsx"}, Encrypt: "require"},
		{Name: "harmless", Recipient: []string{"except.example"}, ExceptAttachment: []string{"*.xlsx"}, Sign: "never", Encrypt: "never"},
		{Name: "trigger", Recipient: []string{"trigger.example"}, Sign: "never", Encrypt: "never", UserControl: []string{"encrypt", "plain"}},
		lax,
		{Name: "default", Sign: "never", Encrypt: "never"},
	}
	rules[4].Name, rules[4].Recipient = "lax", []string{"lax.example", "except.example"}
	return rules
}

// genCharset draws a charset and a text in it.
func genCharset(t *rapid.T, text string) (charset string, octets []byte) {
	charset = rapid.SampledFrom([]string{
		"utf-8", "us-ascii", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1252", "koi8-r", "windows-1251",
		"iso-2022-jp", "shift_jis", "euc-jp", "gb2312", "gb18030", "big5", "euc-kr", "utf-16be", "utf-16le", "utf-7", "x-unknown",
	}).Draw(t, "charset")
	switch charset {
	case "utf-7":
		return charset, []byte(strings.ReplaceAll(text, "[", "+AFs-"))
	case "x-unknown", "us-ascii":
		return charset, []byte(text)
	case "utf-16be", "utf-16le":
		for _, c := range []byte(text) {
			if charset == "utf-16be" {
				octets = append(octets, 0, c)
			} else {
				octets = append(octets, c, 0)
			}
		}
		return charset, octets
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return charset, out
}

// genWord writes a text as encoded words, as some program does.
func genWord(t *rapid.T, text string) string {
	charset, octets := genCharset(t, text)
	cut := len(octets)
	if !strings.HasPrefix(charset, "utf-16") && charset != "utf-7" && rapid.Bool().Draw(t, "split") {
		cut = rapid.IntRange(1, len(octets)).Draw(t, "cut")
	}
	var words []string
	for _, piece := range [][]byte{octets[:cut], octets[cut:]} {
		if len(piece) == 0 {
			continue
		}
		name := charset + rapid.SampledFrom([]string{"", "*en", "*de-DE"}).Draw(t, "language")
		if rapid.Bool().Draw(t, "upper") {
			name = strings.ToUpper(name)
		}
		switch rapid.IntRange(0, 2).Draw(t, "encoding") {
		case 0:
			words = append(words, "=?"+name+"?B?"+base64.StdEncoding.EncodeToString(piece)+"?=")
		case 1:
			words = append(words, "=?"+name+"?b?"+base64.RawStdEncoding.EncodeToString(piece)+"?=")
		default:
			var q strings.Builder
			for _, c := range piece {
				fmt.Fprintf(&q, "=%02x", c)
			}
			words = append(words, "=?"+name+"?q?"+q.String()+"?=")
		}
	}
	return strings.Join(words, rapid.SampledFrom([]string{" ", "  ", "\r\n "}).Draw(t, "between"))
}

// genName writes the fields of an attachment that some reader calls "….xlsx".
func genName(t *rapid.T) string {
	const kind = "Content-Type: application/octet-stream"
	const disposition = "Content-Disposition: attachment"
	switch rapid.IntRange(0, 9).Draw(t, "name form") {
	case 0:
		return kind + "; name=\"" + genWord(t, "plan.xlsx") + "\""
	case 1:
		charset, octets := genCharset(t, "plan.xlsx")
		return kind + "\r\n" + disposition + "; filename*=" + charset + "'en'" + url.PathEscape(string(octets))
	case 2:
		return kind + "; name=plan.pdf\r\n" + disposition + "; filename=plan.xlsx"
	case 3:
		return kind + "; name=plan.xlsx\r\n" + disposition + "; filename=plan.pdf"
	case 4:
		return kind + "; name=plan.pdf; name=plan.xlsx"
	case 5:
		return kind + "\r\n" + disposition + "; filename=plan.pdf\r\n" + disposition + "; filename=plan.xlsx"
	case 6:
		return kind + "\r\n" + disposition + "; filename=\"plan.XLSX" + rapid.SampledFrom([]string{".", " ", ". .", "\t"}).Draw(t, "end") + "\""
	case 7:
		return kind + "\r\n" + disposition + "; filename*1=sx; filename*0=plan.xl"
	case 8:
		return kind + "\r\n" + disposition + "; filename=plan.pdf; filename*=utf-8''plan%2Exlsx"
	}
	return kind + "\r\n" + disposition + "; filename=\"C:\\\\x\\\\pl\u200ban.xlsx\""
}

func encoded64(s string) string {
	return base64.StdEncoding.EncodeToString([]byte(s))
}

func quoted(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return strings.ReplaceAll(b.String(), ".xlsx", "=2Exlsx")
}

// genAttached brings a part along in some way.
func genAttached(t *rapid.T, part string) string {
	inner := "Subject: x\r\nMIME-Version: 1.0\r\n" + part
	mixed := "Content-Type: multipart/mixed; boundary=b2\r\n\r\n--b2\r\n\r\n" + text + "\r\n--b2\r\n" + part + "\r\n--b2--"
	switch rapid.IntRange(0, 6).Draw(t, "attached") {
	case 0:
		return "Content-Type: message/rfc822\r\n\r\n" + inner
	case 1:
		return "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(inner)
	case 2:
		return "Content-Type: message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted(inner)
	case 3:
		return mixed
	case 4:
		return "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64("MIME-Version: 1.0\r\n"+mixed)
	case 5:
		return "Content-Type: text/plain\r\n\r\nbegin 644 plan.xlsx\r\n#0V%T\r\n`\r\nend\r\n"
	}
	return part
}

// event is a meeting request of RFC 6047.
const event = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

const fakeHead = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"

// form is a message but for its first fields, and its envelope sender.
type form struct{ entity, sender string }

// exemptForms are entities that look like what is left alone, and are not; sealed
// is one that is encrypted.
func exemptForms(sealed string) map[string]form {
	mixed := func(kind string, parts ...string) string {
		return "Content-Type: multipart/" + kind + "; boundary=b\r\n\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	plain := "Content-Type: text/plain\r\n\r\n" + text
	file := "Content-Type: application/pdf\r\n\r\n" + text
	brought := "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n" + text
	status := "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n"
	calendar := "Content-Type: text/calendar; method=REQUEST\r\n\r\n" + event
	attached := "Content-Type: text/calendar; name=a.ics\r\nContent-Disposition: attachment\r\n\r\n" + event
	report := func(parts ...string) string {
		return strings.Replace(mixed("report", parts...), "report;", "report; report-type=delivery-status;", 1)
	}
	const reply = "Auto-Submitted: auto-replied\r\n"
	own := func(entity string) form { return form{entity, "alice@own.example"} }
	null := func(entity string) form { return form{entity, ""} }
	return map[string]form{
		"reply with a message":        null(reply + mixed("mixed", plain, brought)),
		"reply with a file":           null(reply + mixed("mixed", plain, file)),
		"reply with a file as a form": null(reply + mixed("alternative", plain, file)),
		"something like a reply":      null("Auto-Submitted: auto-replied-not\r\n" + plain),
		"reply and no reply":          null(reply + "Auto-Submitted: no\r\n" + plain),
		"reply with a sender":         own(reply + plain),
		"reply that is a file":        null(reply + strings.Replace(plain, "plain", "plain; name=a.txt", 1)),
		"report with a message":       null(report(plain, status, brought)),
		"report of one part":          null(report(plain)),
		"report with text before":     null(strings.Replace(report(plain, status), "--b\r\n", text+"\r\n--b\r\n", 1)),
		"report with text behind":     null(report(plain, status) + text),
		"report with text in it":      null(report(plain, status+"\r\n"+text)),
		"report with a body":          null(report(plain, status, "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n"+text)),
		"report of four parts":        null(report(plain, status, "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n", plain)),
		"report with another report":  null(report(plain, plain)),
		"report with a sender":        own(report(plain, status)),
		"file and calendar":           own(mixed("mixed", file, attached)),
		"text and calendar":           own(mixed("mixed", plain, attached)),
		"meeting and file":            own(mixed("mixed", calendar, file)),
		"meeting brought along":       own(mixed("mixed", plain, "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n"+calendar)),
		"meeting with a file as form": own(mixed("alternative", plain, calendar, file)),
		"meeting with text behind":    own(mixed("alternative", calendar) + text),
		"two meetings":                own(mixed("mixed", calendar, strings.ReplaceAll(calendar, "REQUEST", "CANCEL"))),
		"calendar that is published":  own(strings.ReplaceAll(calendar, "REQUEST", "PUBLISH") + text),
		"calendar with a file in it":  own(strings.ReplaceAll(calendar, "SUMMARY:x", "ATTACH;ENCODING=\r\n BASE64;VALUE=BINARY:"+encoded64(text))),
		"calendar without a method":   own(strings.ReplaceAll(calendar, "METHOD:REQUEST\r\n", "")),
		"calendar with text behind":   own(calendar + text),
		"calendar with text in it":    own(strings.ReplaceAll(calendar, "SUMMARY:x", text)),
		"calendar that is none":       own("Content-Type: text/calendar; method=REQUEST\r\n\r\n" + text),
		"unknown cipher":              own(fakeHead + unknownCipher),
		"text as a signature":         own("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n--b\r\n" + sealed + "\r\n--b\r\n" + plain + "\r\n--b--\r\n"),
		"text beside a ciphertext":    own(mixed("mixed", plain, sealed)),
	}
}

// unknownCipher is an EnvelopedData in which the text stands under the name of a
// cipher that is not known.
var unknownCipher = func() string {
	der := func(tag byte, content ...string) string {
		s := strings.Join(content, "")
		return string([]byte{tag, 0x82, byte(len(s) >> 8), byte(len(s))}) + s
	}
	oid := func(s string) string { return string([]byte{6, byte(len(s))}) + s }
	name := der(0x30)
	info := der(0x30, "\x02\x01\x00", der(0x30, name, "\x02\x01\x01"), der(0x30, oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), "\x05\x00"), der(4, strings.Repeat("\x01\x02", 128)))
	content := der(0x30, oid("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), der(0x30, oid("\x2a\x03\x04")), der(0x80, text))
	return encoded64(der(0x30, oid("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"), der(0xa0, der(0x30, "\x02\x01\x00", der(0x31, info), content)))) + "\r\n"
}()

// evasiveWorld has a rule for each kind of form, and a recipient with a certificate in
// each of their domains; sealed is an entity that is encrypted.
func evasiveWorld(t *testing.T) (w *world, domains []string, sealed string) {
	w = newWorld(t)
	w.config.Triggers = testTriggers
	w.rules(evasiveRules()...)
	domains = []string{"subject.example", "attachment.example", "except.example", "trigger.example", "lax.example"}
	theirs := w.theirs.Identities()
	for _, d := range domains {
		theirs = append(theirs, w.hasCertificate("has@"+d))
	}
	w.theirs = certs.NewKeys(time.Now, theirs...)
	other, err := smime.Encrypt(parseMessage(t, "Subject: x\n\nother\n"), []*x509.Certificate{theirs[0].Certificate}, smime.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, sealed, _ = strings.Cut(string(other.Bytes()), "MIME-Version: 1.0\r\n")
	return w, domains, sealed
}

// evades says what is wrong with what becomes of a message that must be encrypted;
// "" if nothing is.
func (w *world) evades(to, subject string, f form) string {
	raw := "From: alice@own.example\r\nTo: " + to + "\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n" + f.entity
	m, err := message.Parse([]byte(raw))
	if err != nil {
		return err.Error()
	}
	o, err := w.gateway.outcome(w.t.Context(), w.envelope("out", f.sender, to), m)
	switch {
	case err != nil && relay.ReplyFor(err).Code == 550:
		return ""
	case err != nil:
		return err.Error() + " for\n" + raw
	}
	for _, d := range o.Deliveries {
		if opened := w.read(d.Message); !isEncrypted(d.Message) || !opened.Decrypted {
			return "leaves without encryption:\n" + raw
		}
	}
	if len(o.Deliveries)+len(o.Refused) != 1 || (len(o.Deliveries) == 1) != strings.HasPrefix(to, "has@") {
		return fmt.Sprintf("%d copies, %d refused for\n%s", len(o.Deliveries), len(o.Refused), raw)
	}
	return ""
}

// TestUnknownCipherIsNoDefect: the form is what it says, and not what it seems.
func TestUnknownCipherIsNoDefect(t *testing.T) {
	k := smime.Inspect(mustMessage(t, []byte("From: alice@own.example\r\nMIME-Version: 1.0\r\n"+fakeHead+unknownCipher)))
	if k.Encrypted || k.Doubt == "" || k.Defect != "" {
		t.Errorf("%+v", k)
	}
}

// TestExemptForms: what is left alone is what it seems to be.
func TestExemptForms(t *testing.T) {
	w, _, sealed := evasiveWorld(t)
	for name, f := range exemptForms(sealed) {
		for _, to := range []string{"has@lax.example", "none@lax.example"} {
			if problem := w.evades(to, "x", f); problem != "" {
				t.Errorf("%s to %s: %s", name, to, problem)
			}
		}
	}
}

// TestSubjectInAnUnknownCharset: it may say anything.
func TestSubjectInAnUnknownCharset(t *testing.T) {
	w, _, _ := evasiveWorld(t)
	for _, subject := range []string{"=?x-unknown?q?z?=", "=?utf-8?q?cut off", "=?utf-8?b?//8=?=", "pl\xe4n"} {
		for _, to := range []string{"has@subject.example", "none@subject.example"} {
			if problem := w.evades(to, subject, form{"\r\n" + text + "\r\n", "alice@own.example"}); problem != "" {
				t.Errorf("%q to %s: %s", subject, to, problem)
			}
		}
	}
}

// TestNoEvasiveFormLeavesPlain: whatever form it takes, what a rule wants encrypted
// leaves encrypted or not at all.
func TestNoEvasiveFormLeavesPlain(t *testing.T) {
	w, domains, sealed := evasiveWorld(t)
	forms := exemptForms(sealed)
	names := slices.Sorted(maps.Keys(forms))
	rapid.Check(t, func(t *rapid.T) {
		domain := rapid.SampledFrom(domains).Draw(t, "domain")
		to := rapid.SampledFrom([]string{"has@", "none@"}).Draw(t, "who") + domain
		subject, f := "x", form{"\r\n" + text + "\r\n", "alice@own.example"}
		switch domain {
		case "subject.example":
			subject = genWord(t, "the secret plan")
		case "trigger.example":
			subject = genWord(t, "[encrypt] plan")
		case "attachment.example", "except.example":
			part := genAttached(t, genName(t)+"\r\n\r\n"+text)
			f.entity = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee there\r\n--b\r\n" + part + "\r\n--b--\r\n"
		default:
			f = forms[rapid.SampledFrom(names).Draw(t, "form")]
		}
		if problem := w.evades(to, subject, f); problem != "" {
			t.Fatal(problem)
		}
	})
}

// TestAttachmentNames: each of these is an .xlsx for some reader.
func TestAttachmentNames(t *testing.T) {
	w, _, _ := evasiveWorld(t)
	const kind = "Content-Type: application/octet-stream"
	signed := w.signedBy(w.issue("alice@own.example"), "Content-Type: application/octet-stream; name=plan.xlsx\n\nx\n", smime.SignOptions{Opaque: true})
	for name, part := range map[string]string{
		"charset":               kind + "; name=\"=?windows-1252?B?QvxjaGVyLnhsc3g=?=\"\r\n\r\nx",
		"doubled type":          kind + "\r\nContent-Type: application/pdf; name=plan.xlsx\r\n\r\nx",
		"charset of RFC 2231":   kind + "\r\nContent-Disposition: attachment; filename*=koi8-r'ru'%D0%CC%C1%CE.xlsx\r\n\r\nx",
		"trailing dot":          kind + "; name=\"plan.xlsx. \"\r\n\r\nx",
		"two parameters":        kind + "; name=plan.pdf\r\nContent-Disposition: attachment; filename=plan.xlsx\r\n\r\nx",
		"doubled parameter":     kind + "; name=plan.pdf; name=plan.xlsx\r\n\r\nx",
		"doubled disposition":   kind + "\r\nContent-Disposition: inline; filename=plan.pdf\r\nContent-Disposition: attachment; filename=plan.xlsx\r\n\r\nx",
		"encoded message":       "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(kind+"; name=plan.xlsx\r\n\r\nx"),
		"encoded multipart":     "Content-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64("--c\r\n"+kind+"; name=plan.xlsx\r\n\r\nx\r\n--c--"),
		"multipart of no parts": "Content-Type: multipart/mixed\r\n\r\n--c\r\n" + kind + "; name=plan.xlsx\r\n\r\nx\r\n--c--",
		"part of a message":     "Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nx",
		"uuencode":              "Content-Type: text/plain\r\n\r\nbegin 644 plan.xlsx\r\n#0V%T\r\n`\r\nend",
		"uuencode in HTML":      "Content-Type: text/html\r\n\r\n<p>\r\nbegin 644 plan.xlsx\r\n#0V%T\r\n`\r\nend",
		"Outlook's own format":  "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(tnefOf("IPM.Note", true)),
		"inside of a signature": entityOf(signed),
		"broken signature":      "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64("0\x80no CMS"),
		"other compression":     "Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(otherCompression),
	} {
		f := form{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee there\r\n--b\r\n" + part + "\r\n--b--\r\n", "alice@own.example"}
		for _, to := range []string{"has@attachment.example", "none@attachment.example", "has@except.example"} {
			if problem := w.evades(to, "x", f); problem != "" {
				t.Errorf("%s to %s: %s", name, to, problem)
			}
		}
	}
}

// tnefOf returns a TNEF stream of a message class, with an attachment or without.
func tnefOf(class string, file bool) string {
	attribute := func(level byte, id uint32, value string) string {
		b := binary.LittleEndian.AppendUint32([]byte{level}, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
		return string(b) + value + "\x00\x00"
	}
	s := "\x78\x9f\x3e\x22\x01\x00" + attribute(1, tnefMessageClass, class+"\x00")
	if file {
		s += attribute(tnefAttachment, 0x0006800f, "content")
	}
	return s
}

// entityOf returns a message without the fields that are not of its entity.
func entityOf(m *message.Message) string {
	_, entity, _ := strings.Cut(string(m.Bytes()), "MIME-Version: 1.0\r\n")
	return entity
}

// signedBy signs a message from alice.
func (w *world) signedBy(id *certs.Identity, entity string, o smime.SignOptions) *message.Message {
	w.t.Helper()
	m, err := smime.Sign(parseMessage(w.t, "From: alice@own.example\nTo: x@sign.example\n"+entity), id, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestMeetingRequests: what is a meeting request as a whole.
func TestMeetingRequests(t *testing.T) {
	calendar := "Content-Type: text/calendar; method=REQUEST\r\n\r\n" + event
	file := "Content-Type: application/ics; name=invite.ics\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(event)
	outlook := func(class string, file bool) string {
		return "Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded64(tnefOf(class, file))
	}
	alternative := "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\ncome\r\n--a\r\n" + calendar + "\r\n--a--\r\n"
	mixed := func(parts ...string) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	for name, tt := range map[string]struct {
		entity string
		want   bool
	}{
		"calendar":                 {calendar, true},
		"file type":                {strings.Replace(calendar, "text/calendar", "application/ics", 1), true},
		"answer":                   {strings.ReplaceAll(calendar, "REQUEST", "REPLY"), true},
		"alternative":              {alternative, true},
		"alternative and file":     {mixed(alternative, file), true},
		"Outlook":                  {outlook("IPM.Schedule.Meeting.Request", false), true},
		"old Outlook with text":    {mixed("\r\ncome", outlook("IPM.Microsoft Schedule.MtgReq", false)), true},
		"Outlook with a file":      {outlook("IPM.Schedule.Meeting.Request", true), false},
		"Outlook, a note":          {outlook("IPM.Note", false), false},
		"other method in the type": {strings.Replace(calendar, "method=REQUEST", "method=CANCEL", 1), false},
		"only the file":            {mixed("\r\ncome", file), false},
		"none":                     {"\r\ncome", false},
	} {
		m := mustMessage(t, []byte("From: alice@own.example\r\nMIME-Version: 1.0\r\n"+tt.entity))
		is, why := meetingRequest(m, false)
		if is != tt.want || (why == "") != (name == "none") {
			t.Errorf("%s: %v, %q", name, is, why)
		}
	}
}

// TestSignedAlready: only the trusted signature of the author counts, and who may
// not send as the author may not by that either.
func TestSignedAlready(t *testing.T) {
	w := newWorld(t)
	stranger := testpki.Must(testpki.NewCA(testpki.Options{}))
	selfMade := (*certs.Identity)(testpki.Must(stranger.Issue(testpki.Leaf{Addresses: []string{"alice@own.example"}})))
	const entity = "Content-Type: text/plain\n\nx\n"
	good := w.signedBy(w.issue("alice@own.example"), entity, smime.SignOptions{})
	noSigner := parseMessage(t, "From: alice@own.example\nTo: x@sign.example\nMIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n\nPay 10000\n--b\nContent-Type: text/plain\n\nno signature\n--b--\n")
	changed := mustMessage(t, []byte(strings.Replace(string(good.Bytes()), "\r\nx\r\n", "\r\ny\r\n", 1)))
	for name, tt := range map[string]struct {
		m     *message.Message
		again bool
	}{
		"clear":             {good, false},
		"opaque":            {w.signedBy(w.issue("alice@own.example"), entity, smime.SignOptions{Opaque: true}), false},
		"of another author": {w.signedBy(w.issue("amy@own.example"), entity, smime.SignOptions{}), true},
		"self-made":         {w.signedBy(selfMade, entity, smime.SignOptions{}), true},
		"none":              {noSigner, true},
		"changed":           {changed, true},
	} {
		o, err := w.process(w.envelope("out", "alice@own.example", "x@sign.example"), tt.m)
		if err != nil || len(o.Deliveries) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again := !bytes.Equal(o.Deliveries[0].Message.Bytes(), tt.m.Bytes()); again != tt.again || !isSigned(o.Deliveries[0].Message) {
			t.Errorf("%s: signed again %v", name, again)
		}
		if doubt := strings.Contains(w.log.String(), "is not accepted") || strings.Contains(w.log.String(), "without a signature"); doubt != tt.again {
			t.Errorf("%s: the log says %s", name, w.log)
		}
		w.log.Reset()
	}
	entitlements, err := enforce.CompileEntitlements([]enforce.Entitlement{{User: []string{"*"}, From: []string{"self"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Entitlements = entitlements
	w.start()
	o, err := w.process(w.envelope("out", "alice@own.example", "x@sign.example"), good)
	if err != nil || len(o.Refused) != 1 {
		t.Errorf("another author's signature gets out: %v", err)
	}
}

// TestReportsAreNotLostUnsigned: a rule about signing keeps no report and no receipt
// back, whatever author it names; one about encryption does.
func TestReportsAreNotLostUnsigned(t *testing.T) {
	w := newWorld(t)
	w.config.Keys = certs.NewKeys(time.Now)
	w.start()
	for _, from := range []string{"From: MAILER-DAEMON@mx.other.example\n", "From: postmaster@own.example\n", "From: MAILER-DAEMON (Mail System)\n", ""} {
		for _, head := range []string{
			"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nsorry\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nbody\n--b--\n",
			"Auto-Submitted: auto-generated\n\ngone\n",
		} {
			for to, want := range map[string]string{"x@sign.example": "plain x@sign.example", bob: "encrypted " + bob} {
				o, err := w.process(w.envelope("out", "", to), parseMessage(t, from+"To: "+to+"\nMIME-Version: 1.0\n"+head))
				if err != nil {
					t.Errorf("%q to %s: %v", from+head, to, err)
				} else if got := w.outline(o); got != want {
					t.Errorf("%q to %s: %s", from+head, to, got)
				}
			}
		}
	}
}

// otherCompression is CompressedData (RFC 3274 section 1.1) by an algorithm that is
// not zlib: other programs may read it.
const otherCompression = "\x30\x27\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09\xa0\x18\x30\x16\x02\x01\x00" +
	"\x30\x04\x06\x02\x2a\x03\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
