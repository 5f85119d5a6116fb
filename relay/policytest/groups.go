package policytest

import (
	"context"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// supposeGroups reads what a case says of groups.
func (s *supposed) supposeGroups(c *Case) error {
	s.groups, s.unknownGroups = make(map[string][]address.Address), make(map[string]bool)
	for name, members := range c.Groups {
		key, err := groupKey(name)
		if err != nil {
			return err
		}
		if s.groups[key], err = parseAll(members); err != nil {
			return err
		}
	}
	for _, name := range c.UnknownGroups {
		key, err := groupKey(name)
		if err != nil {
			return err
		}
		s.unknownGroups[key] = true
	}
	return nil
}

// groupKey compares distinguished names without regard to case, as directories do.
func groupKey(name string) (string, error) {
	key, err := enforce.GroupKey(name)
	if err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	return strings.ToLower(key), nil
}

// InGroup implements directory.Groups.
func (s *supposed) InGroup(_ context.Context, who address.Address, group string) (bool, error) {
	key, err := groupKey(group)
	switch {
	case err != nil:
		return false, err
	case s.unknownGroups[key]:
		return false, errUnknown
	}
	return contains(s.groups[key], who) || who.Key(address.IgnoreCase) == key, nil
}

// Expand implements directory.Groups.
func (s *supposed) Expand(_ context.Context, a address.Address) (directory.Group, bool, error) {
	key := a.Key(address.IgnoreCase)
	if s.unknownGroups[key] {
		return directory.Group{}, false, errUnknown
	}
	members, ok := s.groups[key]
	return directory.Group{Members: members}, ok, nil
}

// SameOwner implements directory.Groups. A case names the identities that there are
// by the authors they sign for: no author is an alias of another.
func (s *supposed) SameOwner(context.Context, address.Address, address.Address) (directory.Ownership, error) {
	return directory.Ownership{}, nil
}

// Aliases implements directory.Groups.
func (s *supposed) Aliases(context.Context, address.Address) ([]address.Address, error) {
	return nil, nil
}

// AddressesOf implements directory.Groups.
func (s *supposed) AddressesOf(context.Context, string) ([]address.Address, error) {
	return s.listed, nil
}
