package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Groups answers who is in which group. *Directory is the one implementation.
type Groups interface {
	// InGroup reports whether an address is in a group, in a group in it, or is the
	// group. The group is named by its mail address or, with a "=" in it, by its
	// distinguished name. An error means that it is unknown: also where no
	// source knows the group, for its name may have been mistyped.
	InGroup(ctx context.Context, who address.Address, group string) (bool, error)
	// Expand returns who stands for the address of a group; see Directory.Expand.
	Expand(ctx context.Context, addr address.Address) (g Group, ok bool, err error)
	// AddressesOf returns the addresses that are listed for the name of a user.
	AddressesOf(ctx context.Context, user string) ([]address.Address, error)
	// SameOwner returns whether two addresses are those of one mailbox: one entry
	// lists both, and no other entry contradicts it. An error means that the answer is
	// unknown.
	SameOwner(ctx context.Context, a, b address.Address) (Ownership, error)
	// Aliases returns what else the entries list that list an address, in the order
	// of the entries. Only what SameOwner confirms is of the same mailbox. An error
	// means that the answer is unknown.
	Aliases(ctx context.Context, addr address.Address) ([]address.Address, error)
}

// groupSource is what a source knows of groups and users.
type groupSource interface {
	Name() string
	// Expand returns the members of the group addr. It errs when they can not
	// all be had: a member left out would be a message lost. The error is
	// errNoGroup where nothing has the address, errMailbox where a person has.
	Expand(ctx context.Context, addr address.Address) (Group, error)
	// addressesOf returns the addresses listed for a user; ok is false where
	// users are not looked for.
	addressesOf(ctx context.Context, user string) (list []address.Address, ok bool, err error)
	// hasAliases reports whether the further addresses of an entry count.
	hasAliases() bool
	// holders returns the entries of any kind that list an address; none if the source
	// has no aliases. Of more than one entry some may be missing.
	holders(ctx context.Context, addr address.Address) ([]holder, error)
	// entriesOf returns the names of the entries that bear an address.
	entriesOf(ctx context.Context, addr address.Address) ([]string, error)
	// groupsNamed returns the names of the entries that a group's address or
	// distinguished name stands for; errNoGroup if there are none.
	groupsNamed(ctx context.Context, group string) ([]string, error)
	// chains reports whether inChain can be asked.
	chains(ctx context.Context) (bool, error)
	// inChain asks the server whether an entry is in a group, however nested.
	inChain(ctx context.Context, entry, group string) (bool, error)
	// everybodyIn returns the names of all entries in a group, normalised.
	everybodyIn(ctx context.Context, group string) (map[string]bool, error)
}

// groupMemory is what a Directory remembers of groups.
type groupMemory struct {
	expansions memory[expanded]
	members    memory[bool]
	entries    memory[[]string]
	names      memory[[]string]
	everybody  memory[map[string]bool]
	users      memory[[]address.Address]
	owners     memory[Ownership]
	aliases    memory[[]address.Address]
}

func newGroupMemory(d *Directory) groupMemory {
	return groupMemory{
		expansions: newMemory[expanded](d), members: newMemory[bool](d),
		entries: newMemory[[]string](d), names: newMemory[[]string](d),
		everybody: newMemory[map[string]bool](d), users: newMemory[[]address.Address](d),
		owners: newMemory[Ownership](d), aliases: newMemory[[]address.Address](d),
	}
}

var _ Groups = (*Directory)(nil)

var errUnheard = errors.New("no directory has a group of this name")

// InGroup implements Groups.
func (d *Directory) InGroup(ctx context.Context, who address.Address, group string) (bool, error) {
	return d.groups.members.ask(ctx, d, keyOf(group, who.Key(d.cfg.LocalPart)), func(ctx context.Context) (bool, error) {
		in, err := d.inGroup(ctx, who, group)
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "group membership could not be looked up", "address", who, "group", group, "error", err)
		}
		return in, err
	})
}

// keyOf joins what a question is about; no part has a NUL.
func keyOf(parts ...string) string { return strings.Join(parts, "\x00") }

// inGroup asks the sources in turn: one that has the entry in the group is
// enough. One that is not asked about the domain has no member of it in its groups,
// but may be the one that knows the group.
func (d *Directory) inGroup(ctx context.Context, who address.Address, group string) (bool, error) {
	var errs []error
	heard := false
	for _, s := range d.sources {
		g := s.groups()
		if g == nil {
			continue
		}
		in, err := false, errNoGroup
		switch {
		case s.domains.match(who.Domain()):
			in, err = d.inGroupOf(ctx, g, who, group)
		case s.domains.mayHave(group):
			_, err = d.groupsNamed(ctx, g, group)
		}
		switch {
		case errors.Is(err, errNoGroup):
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.Name(), err))
		case in:
			return true, nil
		default:
			heard = true
		}
	}
	if len(errs) == 0 && !heard {
		return false, errUnheard
	}
	return false, errors.Join(errs...)
}

// inGroupOf asks one source.
func (d *Directory) inGroupOf(ctx context.Context, g groupSource, who address.Address, group string) (bool, error) {
	groups, err := d.groupsNamed(ctx, g, group)
	if err != nil {
		return false, err
	}
	entries, err := d.groups.entries.ask(ctx, d, keyOf(g.Name(), who.Key(address.ExactCase)), func(ctx context.Context) ([]string, error) {
		return g.entriesOf(ctx, who)
	})
	if err != nil || len(entries) == 0 {
		return false, err
	}
	chains, err := g.chains(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range groups {
		in, err := d.among(ctx, g, entries, name, chains)
		if in || err != nil {
			return in, err
		}
	}
	return false, nil
}

// groupsNamed is groupSource.groupsNamed, remembered, also that there are none.
func (d *Directory) groupsNamed(ctx context.Context, g groupSource, group string) ([]string, error) {
	names, err := d.groups.names.ask(ctx, d, keyOf(g.Name(), group), func(ctx context.Context) ([]string, error) {
		names, err := g.groupsNamed(ctx, group)
		if errors.Is(err, errNoGroup) {
			return nil, nil
		}
		return names, err
	})
	if err == nil && len(names) == 0 {
		err = errNoGroup
	}
	return names, err
}

// mayHave reports whether a source for these domains may be asked for a group: a
// distinguished name tells nothing of domains.
func (d domains) mayHave(group string) bool {
	a, err := address.Parse(group)
	return err != nil || strings.Contains(group, "=") || d.match(a.Domain())
}

// among reports whether one of the entries is in a group, or is it.
func (d *Directory) among(ctx context.Context, g groupSource, entries []string, group string, chains bool) (bool, error) {
	for _, entry := range entries {
		if normalDN(entry) == normalDN(group) {
			return true, nil
		}
	}
	if chains {
		for _, entry := range entries {
			if in, err := g.inChain(ctx, entry, group); in || err != nil {
				return in, err
			}
		}
		return false, nil
	}
	everybody, err := d.groups.everybody.ask(ctx, d, keyOf(g.Name(), group), func(ctx context.Context) (map[string]bool, error) {
		return g.everybodyIn(ctx, group)
	})
	for _, entry := range entries {
		if everybody[normalDN(entry)] {
			return true, nil
		}
	}
	return false, err
}
