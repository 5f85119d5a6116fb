package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/smimerelay/smimerelay/internal/printable"
)

// page is text for people: it collects output and remembers the first error. All
// that a verb prints goes through it, but for JSON and for messages and
// certificates themselves.
type page struct {
	w   io.Writer
	err error
}

// line prints one line. Its arguments are made printable, because names, addresses
// and replies are what strangers wrote: no argument begins a line of its own.
func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", printable.Args(args)...)
	}
}

// text prints lines of the program's own, indented.
func (p *page) text(lines string) {
	for line := range strings.Lines(lines) {
		p.line("  %s", strings.TrimSuffix(line, "\n"))
	}
}

func (p *page) lineIf(yes bool, text string) {
	if yes {
		p.line("%s", text)
	}
}

// page returns a page on standard output.
func (a *app) page() *page { return &page{w: a.stdout} }

// say prints a line for the user on standard error.
func (a *app) say(format string, args ...any) {
	p := page{w: a.stderr}
	p.line("smimerelay: "+format, args...)
}
