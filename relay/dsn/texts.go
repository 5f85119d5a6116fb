package dsn

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/template"
)

//go:embed texts
var builtin embed.FS

// Texts are the words of reports and notices: for each a text and, if there is
// one, the same in HTML. Those of reports are templates over Hostname, Recipients
// (each with Address, Reason and Advice) and Quoted, which says that the message's header
// is attached, MessageID, Date, Subject and Contact; those of delays also over Until, and that of those
// who are held over Until and, where others were removed, Stripped. Those of notices of expiry are over the
// fields of expiryFacts, those of orders over those of enrolmentFacts, those of answers to mail commands over those of
// commandFacts, and those of quarantine over the fields of quarantineFacts.
// A text begins with a line "Subject: ..." and an empty line.
type Texts struct {
	named   map[string]words
	reasons *reasons
}

type words struct {
	subject, text *template.Template
	html          *htmltemplate.Template // nil: there is none
}

// names of the files of a kind, without their suffix.
var names = map[Kind]string{Failed: "failed", Delayed: "delayed", Stripped: "stripped", Held: "held", Relayed: "relayed"}

// samples are what each file must be fit to be filled in with.
var samples = commandSamples(map[string]any{
	"failed":    facts{Recipients: []recipientFacts{{}}, Quoted: true},
	"delayed":   facts{Recipients: []recipientFacts{{}}, Quoted: true, Until: "x"},
	"relayed":   facts{Recipients: []recipientFacts{{}}, Quoted: true},
	"stripped":  facts{Recipients: []recipientFacts{{}}, Quoted: true},
	"held":      facts{Recipients: []recipientFacts{{}}, Quoted: true, Stripped: []recipientFacts{{}}},
	forOwner:    expiryFacts{Identities: []identityFacts{{}}},
	forAdmin:    expiryFacts{Identities: []identityFacts{{}}, More: 1},
	enrolment:   enrolmentFacts{Orders: []orderFacts{{Final: true}}},
	quarantined: quarantineFacts{Recipients: []recipientFacts{{}}},
})

// facts are what templates are filled with.
type facts struct {
	Hostname   string
	Recipients []recipientFacts
	Quoted     bool
	Until      string // "" where no one is held or delayed
	MessageID  string // "" where it is not known
	Date       string // of the message, as it stands there; "" where it is not known
	Stripped   []recipientFacts
	Subject    string // of the message, for local senders alone
	Contact    string // whom the sender may ask
}

// recipientFacts are about one recipient: Reason is why, in the language of the texts, and
// Advice what the sender can do about it, "" if that is not known. Asked says that the
// recipient was asked for a certificate.
type recipientFacts struct {
	Address, Reason, Advice string
	Asked                   bool
}

var errNoSubject = errors.New(`does not begin with a line "Subject: ..." and an empty line`)

// languages are those of the built-in texts.
func languages() []string { return []string{"de", "en"} }

// ReadTexts returns the built-in texts of a language, "" being English, with
// those of folder in their place: failed.txt, delayed.txt, relayed.txt, stripped.txt,
// held.txt, quarantined.txt, enrolment.txt, expiry-owner.txt, expiry-admin.txt and command-help.txt, command-why.txt, command-can.txt and command-certificate.txt, each with an .html beside it if there is one. A nil folder is none. The error joins
// all problems.
func ReadTexts(language string, folder fs.FS) (*Texts, error) {
	if language == "" {
		language = "en"
	}
	if !slices.Contains(languages(), language) {
		return nil, fmt.Errorf("language %q: no built-in texts; use one of %s", language, strings.Join(languages(), ", "))
	}
	base, err := fs.Sub(builtin, "texts/"+language)
	if err != nil {
		return nil, err
	}
	t := &Texts{named: make(map[string]words)}
	var errs []error
	if t.reasons, err = readReasons(base); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		w, err := readWords(name, samples[name], folder, base)
		t.named[name] = w
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// readWords reads a text, which must be fit to be filled in with sample.
func readWords(name string, sample any, folder, base fs.FS) (words, error) {
	var w words
	text, err := readText(name+".txt", folder, base)
	if err != nil {
		return w, err
	}
	line, body, ok := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	subject, titled := strings.CutPrefix(line, "Subject: ")
	if !ok || !titled || strings.Contains(subject, "\n") {
		return w, fmt.Errorf("%s.txt: %w", name, errNoSubject)
	}
	var subjectErr, textErr error
	w.subject, subjectErr = template.New(name).Parse(subject)
	w.text, textErr = template.New(name + ".txt").Parse(body)
	if err := errors.Join(subjectErr, textErr); err != nil {
		return w, err
	}
	if folder != nil {
		html, err := fs.ReadFile(folder, name+".html")
		if err == nil {
			w.html, err = htmltemplate.New(name + ".html").Parse(string(html))
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return w, err
		}
	}
	// A template that cannot be filled in is found now and not with a message.
	_, _, _, err = w.fill(sample)
	return w, err
}

// readText reads a file of folder, or else of base.
func readText(name string, folder, base fs.FS) (string, error) {
	if folder != nil {
		data, err := fs.ReadFile(folder, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(data), err
		}
	}
	data, err := fs.ReadFile(base, name)
	return string(data), err
}

// fill fills the templates in; html is "" where there is none.
func (w *words) fill(f any) (subject, text, html string, err error) {
	var s, t, h strings.Builder
	if err := errors.Join(w.subject.Execute(&s, f), w.text.Execute(&t, f)); err != nil {
		return "", "", "", err
	}
	if w.html != nil {
		if err := w.html.Execute(&h, f); err != nil {
			return "", "", "", err
		}
	}
	return clean(s.String()), t.String(), h.String(), nil
}

// words fills in the texts of a report.
func (r *Report) words() (subject, text, html string, err error) {
	texts := r.Texts
	if texts == nil {
		if texts, err = ReadTexts("", nil); err != nil {
			return "", "", "", err
		}
	}
	f := facts{Hostname: clean(r.Hostname), Quoted: r.Original != nil,
		MessageID: clean(r.MessageID), Date: clean(r.Date), Subject: clean(r.Subject), Contact: clean(r.Contact),
		Recipients: texts.recipients(r.Recipients), Stripped: texts.recipients(r.Stripped)}
	if !r.Until.IsZero() {
		f.Until = r.Until.Format("2006-01-02 15:04 -0700")
	}
	w := texts.named[names[r.Kind]]
	return w.fill(f)
}

func (t *Texts) recipients(list []Recipient) []recipientFacts {
	var all []recipientFacts
	for _, to := range list {
		why, advice := t.reasons.explain(reason(to))
		all = append(all, recipientFacts{clean(to.Address.String()), why, advice, to.Asked})
	}
	return all
}

// reason says what became of a recipient: the words of a next hop as such.
func reason(to Recipient) string {
	if to.RemoteMTA == "" || to.Reply.Code == 0 {
		return clean(to.Reply.Text)
	}
	return clean(fmt.Sprintf("host %s said: %s", to.RemoteMTA, to.Reply))
}
