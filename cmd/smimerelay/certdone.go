package main

import (
	"encoding/hex"
	"time"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// doneFlags are common to the verbs that change something about a certificate.
type doneFlags struct {
	JSON bool `name:"json" help:"Print one JSON object per certificate, after it has been changed."`
}

// done is what --json prints.
type done struct {
	SHA256    string   `json:"sha256"`
	Subject   string   `json:"subject"`
	Addresses []string `json:"addresses"`
	// Done is "removed", "allowed", "blocked", "cleared", "pinned", "unpinned" or
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
		p := a.page()
		p.line("%s %s", name(e.Certificate), text)
		return p.err
	}
	d.SHA256, d.Subject, d.Addresses = hex.EncodeToString(e.Fingerprint[:]), pkix.SubjectString(e.Certificate), describe.Texts(e.Addresses)
	return a.encoder().Encode(d)
}

// day is a date for people and programs, "" for the zero time.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}
