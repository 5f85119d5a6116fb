package dsn

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Question asks a recipient for a certificate. It says nothing of the message that waits
// but who sent it.
type Question struct {
	// ID is unique to the question, of letters and digits.
	ID string
	// Hostname is ours.
	Hostname string
	// From is the author, To is who is asked, and Sender who sent the message that waits: an
	// answer goes there.
	From, To, Sender address.Address
	Now              time.Time
	// Until is when the message is given up.
	Until time.Time
	// Contact is whom the recipient may ask; "" if there is no one.
	Contact string
	// Language is one of Languages.
	Language string
	// Texts are the words; nil are the built-in ones.
	Texts *QuestionTexts
}

// questionFacts are what the templates are filled with.
type questionFacts struct{ Hostname, Sender, Recipient, Until, Contact string }

// QuestionTexts are the words of questions in all languages.
type QuestionTexts struct{ byLanguage map[string]words }

// ReadQuestionTexts returns the built-in texts, with those of folder in their place:
// question.LANGUAGE.txt, and an .html beside it if there is one. A nil folder is none. The
// error joins all problems.
func ReadQuestionTexts(folder fs.FS) (*QuestionTexts, error) {
	base, err := fs.Sub(builtin, "texts")
	if err != nil {
		return nil, err
	}
	t := &QuestionTexts{byLanguage: make(map[string]words)}
	var errs []error
	for _, language := range languages() {
		w, err := readWords("question."+language, questionFacts{}, folder, base)
		t.byLanguage[language] = w
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// BuildQuestion returns the question as a message, and its Message-ID. The caller sends it
// with the null reverse-path, so that there is no automatic answer.
func BuildQuestion(q Question) (m *message.Message, messageID string, err error) {
	texts := q.Texts
	if texts == nil {
		if texts, err = ReadQuestionTexts(nil); err != nil {
			return nil, "", err
		}
	}
	w, ok := texts.byLanguage[q.Language]
	if !ok {
		return nil, "", fmt.Errorf("question: no text in language %q", q.Language)
	}
	subject, text, html, err := w.fill(questionFacts{
		Hostname: clean(q.Hostname), Sender: clean(q.Sender.String()), Recipient: clean(q.To.String()),
		Until: q.Until.Format("2006-01-02 15:04 -0700"), Contact: clean(q.Contact),
	})
	if err != nil {
		return nil, "", fmt.Errorf("question: %w", err)
	}
	n := notice{ID: q.ID, Hostname: q.Hostname, From: q.From, To: q.To, ReplyTo: q.Sender, Now: q.Now}
	if m, err = n.message(subject, text, html); err != nil {
		return nil, "", fmt.Errorf("question: %w", err)
	}
	return m, n.messageID(), nil
}
