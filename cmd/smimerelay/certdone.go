package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pki"
)

// doneFlags are common to the verbs that change something about a certificate.
type doneFlags struct {
	JSON bool `name:"json" help:"Print what was done as JSON: one object a certificate, when it is done."`
}

// done is what --json prints.
type done struct {
	SHA256    string   `json:"sha256"`
	Subject   string   `json:"subject"`
	Addresses []string `json:"addresses"`
	// Done is "removed", "allowed", "blocked", "unmarked", "pinned", "unpinned" or
	// "exported".
	Done string `json:"done"`
	// Until is the day on which it ends; absent is never.
	Until string `json:"until,omitempty"`
	// File is what was written, PEM what stands here instead of in a file.
	File string `json:"file,omitempty"`
	PEM  string `json:"pem,omitempty"`
}

// report prints what was done to a certificate: d as JSON, or text for people.
func (f *doneFlags) report(a *app, e store.Entry, d done, text string) error {
	if !f.JSON {
		_, err := fmt.Fprintf(a.stdout, "%s %s\n", name(e.Certificate), text)
		return err
	}
	d.SHA256, d.Subject, d.Addresses = hex.EncodeToString(e.Fingerprint[:]), pki.SubjectString(e.Certificate), texts(e.Addresses)
	j := json.NewEncoder(a.stdout)
	j.SetEscapeHTML(false)
	return j.Encode(d)
}

// day is a date for people and programs, "" for the zero time.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}
