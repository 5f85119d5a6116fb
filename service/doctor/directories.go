package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/smime/address"
)

// slowAnswer is how long a source may take before it is worth a warning: all mail to the
// outside waits for it.
const slowAnswer = time.Second

// directories asks each source for one certificate: it connects, secures, binds and
// searches as for mail.
func (x *examination) directories(ctx context.Context) {
	sample := x.Sample
	if sample == address.Null {
		sample, _ = address.Parse("postmaster@" + x.parts.Gateway.Domains[0]) // the null address finds nothing
	}
	for _, a := range x.parts.Directory.Probe(ctx, sample) {
		x.answer(a)
	}
}

func (x *examination) answer(a directory.Answer) {
	took := a.Elapsed.Round(time.Millisecond)
	switch {
	case a.Err != nil:
		x.add(Error, "directory", a.Source, a.Err.Error(), "correct its [[directory]], or start the server; until then mail that needs it is deferred")
	case a.Empty != "":
		x.add(Warning, "directory", a.Source, fmt.Sprintf("no entry below base %q has what filter asks for: no certificate is ever found there", a.Empty), "correct base or filter of its [[directory]], or let bind_dn read the entries")
	case a.Elapsed > slowAnswer:
		x.add(Warning, "directory", a.Source, fmt.Sprintf("answers after %v", took), "make an index of the attributes in filter on the server, or use one that is nearer")
	default:
		x.ok("directory", a.Source, fmt.Sprintf("answers after %v, %d certificates", took, a.Found))
	}
	for _, note := range a.Notes {
		x.add(Note, "directory", a.Source, note, "smimerelay cert lookup ADDRESS shows the whole answer")
	}
}
