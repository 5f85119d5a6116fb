package dsn

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// CommandKind is a mail command: what a member of the local domains asks the gateway by mail.
// Its name is that of the file with the words of the answer, behind "command-".
type CommandKind string

// The mail commands.
const (
	HelpCommand        CommandKind = "help"
	WhyCommand         CommandKind = "why"
	CanCommand         CommandKind = "can"
	CertificateCommand CommandKind = "certificate"
)

// CommandAnswer answers a mail command.
type CommandAnswer struct {
	Kind CommandKind
	// ID is unique to the answer, of letters and digits.
	ID string
	// Hostname is ours.
	Hostname string
	// From is the address that takes commands, To is who asked.
	From, To address.Address
	// InReplyTo is the Message-ID of the command, with its brackets; "" if it has none.
	InReplyTo string
	Now       time.Time
	// Contact is whom the member may ask; "" if there is no one.
	Contact string
	// Argument is what was asked about: a Message-ID, an address, or for help the subject
	// that is no command.
	Argument string
	// State is what the answer is. Of why: StateFound, StateNone, or StateUnknown where
	// there is no history. Of can: StateFound, StateNone or StateUnknown. Of certificate:
	// StateFound, StateOrdered, StateNone, or StateUnknown where that is not known now.
	State CommandState
	// Fates are what became of the message of why, More says that there are further ones. Of can
	// the one is the recipient with the reason why not.
	Fates []Fate
	More  bool
	// Certificates are those of the member, or of the recipient of can, and Files are those
	// that are attached, in DER.
	Certificates []Expiring
	Files        [][]byte
	// Texts are the words; nil is the built-in English.
	Texts *Texts
}

// CommandState is what is answered to a command, in one word.
type CommandState string

// The states.
const (
	StateFound   CommandState = "found"
	StateNone    CommandState = "none"
	StateUnknown CommandState = "unknown"
	StateOrdered CommandState = "ordered"
)

// Fate is what has become of a message for a recipient.
type Fate struct {
	Recipient address.Address
	Time      time.Time
	// Outcome is a word of package history.
	Outcome string
	// Reason is what the sender may know of why: what a rule said, or a reply.
	Reason string
}

// commandFacts are what the templates are filled with.
type commandFacts struct {
	Hostname, Address, Member, Argument, Contact string
	State                                        CommandState
	Recipients                                   []fateFacts
	More                                         bool
	Certificates                                 []identityFacts
}

type fateFacts struct{ Address, Outcome, Time, Reason, Advice string }

// commandSamples are what the words of each answer must be fit to be filled in with.
func commandSamples(all map[string]any) map[string]any {
	f := commandFacts{Recipients: []fateFacts{{}}, Certificates: []identityFacts{{}}}
	for _, kind := range []CommandKind{HelpCommand, WhyCommand, CanCommand, CertificateCommand} {
		all["command-"+string(kind)] = f
	}
	return all
}

// BuildCommandAnswer returns the answer as a message. The caller sends it with the null
// reverse-path, so that there is no automatic answer.
func BuildCommandAnswer(a CommandAnswer) (*message.Message, error) {
	texts := a.Texts
	if texts == nil {
		var err error
		if texts, err = ReadTexts("", nil); err != nil {
			return nil, err
		}
	}
	w := texts.named["command-"+string(a.Kind)]
	subject, text, html, err := w.fill(a.facts(texts))
	if err != nil {
		return nil, fmt.Errorf("answer to a mail command: %w", err)
	}
	n := notice{
		ID: a.ID, Hostname: a.Hostname, From: a.From, To: a.To, Now: a.Now,
		Replies: true, InReplyTo: a.InReplyTo, Certificates: a.Files,
	}
	m, err := n.message(subject, text, html)
	if err != nil {
		return nil, fmt.Errorf("answer to a mail command: %w", err)
	}
	return m, nil
}

func (a *CommandAnswer) facts(texts *Texts) commandFacts {
	f := commandFacts{
		Hostname: clean(a.Hostname), Address: clean(a.From.String()), Member: clean(a.To.String()), Argument: clean(a.Argument),
		Contact: clean(a.Contact), State: a.State, More: a.More,
	}
	for _, x := range a.Fates {
		why, advice := texts.reasons.explain(clean(x.Reason))
		one := fateFacts{Address: clean(x.Recipient.String()), Outcome: clean(x.Outcome), Reason: why, Advice: advice}
		if !x.Time.IsZero() {
			one.Time = x.Time.UTC().Format("2006-01-02 15:04 UTC")
		}
		f.Recipients = append(f.Recipients, one)
	}
	for _, c := range a.Certificates {
		f.Certificates = append(f.Certificates, c.facts(a.Now))
	}
	return f
}

// withCertificates puts the words and files of certificates into one multipart.
func withCertificates(boundary, contentType, encoding string, words []byte, files [][]byte) (string, string, []byte) {
	boundary = "files-" + boundary
	var b bytes.Buffer
	part(&b, boundary, contentType, encoding, words)
	for i, der := range files {
		name := fmt.Sprintf("certificate-%d.cer", i+1)
		fmt.Fprintf(&b, "--%s\r\nContent-Type: application/pkix-cert; name=%s\r\nContent-Transfer-Encoding: base64\r\n"+
			"Content-Disposition: attachment; filename=%s\r\n\r\n", boundary, name, name)
		text := base64.StdEncoding.EncodeToString(der)
		const width = 76 // RFC 2045 section 6.8
		for len(text) > 0 {
			n := min(len(text), width)
			b.WriteString(text[:n] + "\r\n")
			text = text[n:]
		}
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return `multipart/mixed; boundary="` + boundary + `"`, "7bit", b.Bytes()
}
