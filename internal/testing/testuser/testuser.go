//go:build unix

// Package testuser has tests run servers that refuse to run as root.
package testuser

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Of returns the user of a server, which a package of Debian makes, where we are root,
// and nil where we are not: it then runs as ourselves.
func Of(name, debian string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("there is no user %s: apt-get install %s: %w", name, debian, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
