// Package doctor examines a gateway together with what is around it: files, sockets,
// next hops, directories, clock, DNS, Postfix, queue and store. It changes nothing. What
// is wrong with the configuration alone it learns from package service.
package doctor

import (
	"context"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Severity is how bad a finding is.
type Severity string

// The severities, the least first.
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // worth knowing; nothing is wrong
	Warning Severity = "warning" // some mail is not treated as meant, or soon will not be
	Error   Severity = "error"   // mail does not flow, or may leave unprotected
)

// Finding is the result of one check.
type Finding struct {
	// Check is the part that was examined, such as "postfix".
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// Where is the option, file, address or parameter that the finding is about.
	Where string `json:"where"`
	Text  string `json:"text"`
	// Remedy says what to do; empty with OK.
	Remedy string `json:"remedy"`
}

// Options say what to examine, and by which means.
type Options struct {
	// Config is the configuration file.
	Config string
	// Postfix is the folder of main.cf and master.cf; "" leaves Postfix out.
	Postfix string
	// Sample is the address that the directories are asked for; the null address is
	// postmaster in the first local domain.
	Sample address.Address
	// Timeout bounds each question to another program.
	Timeout time.Duration
	// Built is when this build was made: no clock can be right that is before it. The
	// zero time is unknown.
	Built time.Time
	Clock func() time.Time
	// LookupHost asks DNS for the addresses of a host.
	LookupHost func(ctx context.Context, host string) ([]string, error)
	// Synchronized reports whether the kernel's clock is; known is false where the
	// system does not tell.
	Synchronized func() (synchronized, known bool)
}

// Examine returns the findings in the order of the checks. If the configuration has
// problems, they are the problems, and only what needs no configuration is examined.
func Examine(ctx context.Context, o Options) ([]Finding, config.Problems) {
	x := &examination{Options: o}
	x.clock()
	start := o.Clock()
	parts, problems := service.Load(o.Config, o.Clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return x.findings, problems
	}
	defer parts.Close()
	x.parts, x.config = parts, parts.Config
	x.reload(o.Clock().Sub(start))
	x.configuration(ctx)
	x.names(ctx)
	x.listeners(ctx)
	x.nextHops(ctx)
	x.directories(ctx)
	x.entries(ctx)
	x.unwritten(ctx)
	x.store(ctx)
	x.queue(ctx)
	x.disk()
	x.postfix(ctx)
	return x.findings, nil
}

// examination is one run.
type examination struct {
	Options
	parts    *service.Parts
	config   *config.Config
	findings []Finding
}

func (x *examination) add(severity Severity, check, where, text, remedy string) {
	x.findings = append(x.findings, Finding{check, severity, where, text, remedy})
}

func (x *examination) ok(check, where, text string) { x.add(OK, check, where, text, "") }

// slowLoad is how long reading the configuration may take before it is worth a note: so
// long a reload is not yet in effect.
const slowLoad = 5 * time.Second

func (x *examination) reload(took time.Duration) {
	text := "read and built in " + took.Round(time.Millisecond).String()
	if took < slowLoad {
		x.ok("reload", x.Config, text)
		return
	}
	x.add(Warning, "reload", x.Config, text+": each reload, and each change of the store, takes as long",
		"make the folders of trust.anchors, trust.crls and identities.path smaller, or import them with smimerelay cert import")
}

// configuration has what check warns of.
func (x *examination) configuration(ctx context.Context) {
	holdings, err := x.parts.Survey(ctx, x.Clock())
	if err != nil {
		x.add(Error, "configuration", x.Config, err.Error(), "check that the store is available")
		return
	}
	warnings := x.parts.Warnings(holdings, x.Clock())
	for _, w := range warnings {
		remedy := w.Remedy
		w.Remedy = ""
		x.add(Warning, "configuration", place(w), w.Text, remedy)
	}
	if len(warnings) == 0 {
		x.ok("configuration", x.Config, "no warnings")
	}
}

// place is where in the file a problem is.
func place(p config.Problem) string {
	p.Text, p.Remedy = "", ""
	text := p.String()
	return text[:len(text)-len(": ")]
}
