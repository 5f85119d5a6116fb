package doctor

import (
	"context"
	"fmt"
	"strings"
)

// maxMore is how many attributes are named that an account should not be able to write.
const maxMore = 5

// entries looks an entry up in each directory that certificates are written to.
func (x *examination) entries(ctx context.Context) {
	for _, p := range x.parts.ProbeEntries(ctx, x.Sample) {
		where := fmt.Sprintf("[[publish]] %q", p.Name)
		switch {
		case p.Err != nil:
			x.add(Error, "publish", where, p.Err.Error(), "correct it or its [[directory]]; until then certificates there stay as they are")
		case p.Address.IsNull():
			x.add(Note, "publish", where, "no entry was found for any address that was tried", "name a user with --address; check base and filter of the [[directory]]")
		case len(p.More) > 0:
			x.add(Warning, "publish", where, "the account may also write "+some(p.More), "let it write the attributes with certificates alone; see docs/publishing.md")
		default:
			x.ok("publish", where, fmt.Sprintf("found the entry of %s", p.Address))
		}
	}
}

// unwritten has what the gateway could not write: as the store has it, for what the gateway
// itself found is only in its log and metrics.
func (x *examination) unwritten(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	list, err := x.parts.Unwritten(ctx)
	if err != nil {
		return // x.store says so
	}
	for _, u := range list {
		if where := fmt.Sprintf("[[publish]] %q", u.Name); len(u.Objects) > 0 {
			x.add(Warning, "publish", where, "could not be written the last time, or is being written: "+some(u.Objects),
				"look for \"publishing certificates failed\" in the log: it has the reason; a reload tries again at once")
		} else {
			x.ok("publish", where, "nothing waits to be written")
		}
	}
}

// some names the first of a list.
func some(list []string) string {
	if len(list) <= maxMore {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxMore], ", "), len(list)-maxMore)
}
