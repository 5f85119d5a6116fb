package service

import (
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// serviceUser is the user of the units that the project ships.
const serviceUser = "smimerelay"

// exposed are secrets that others can read, and files that the service cannot read
// although check, as another user, can: reader is the user of the service, nil where it is
// not known or it is ours.
func exposed(c *config.Config, now time.Time, reader *reader) config.Problems {
	var ws config.Problems
	warn := func(key, text, remedy string) { ws = append(ws, c.Problem(key, text, remedy)) }
	if reader != nil {
		ws = append(ws, reader.unreadable(c)...)
	}
	for f := range c.Files() {
		if reader != nil && (f.Key == "store.url" && !c.Store.Shared() || f.Key == "queue.path") {
			if bad := reader.unwritable(c, f); len(bad) > 0 {
				ws = append(ws, bad...)
				continue
			}
		}
		info, err := os.Stat(config.Place(f.Path))
		if err != nil {
			continue // reported elsewhere, or not there yet
		}
		for path := range secretsIn(f, info) {
			warn(f.Key, fmt.Sprintf("%q can be read by every user of this machine", path), "chmod o-rwx "+path)
		}
		if reader != nil && !reader.reads(info) {
			warn(f.Key, fmt.Sprintf("%q cannot be read by the user %s of the service", f.Path, serviceUser),
				fmt.Sprintf("chgrp %s %s and chmod g+rX it", serviceUser, f.Path))
		}
	}
	for i, d := range c.Directory {
		for n, server := range d.URLs {
			if d.BindDN != "" && !d.StartTLS && isPlain(server) {
				warn(fmt.Sprintf("%s[%d]", key("directory", i, "urls"), n), fmt.Sprintf("the password of bind_dn goes to %q without TLS", server),
					"write ldaps://, or set start_tls = true")
			}
		}
	}
	if unprotected(c.Store.URL) {
		warn("store.url", "the connection to the database may be without TLS, and mail in the queue crosses it", "add ?sslmode=verify-full, or another sslmode if the network is protected")
	}
	for i, l := range c.Listeners {
		if text := expired(l.TLSCert, now); text != "" {
			warn(key("listener", i, "tls_certificate"), text, "renew it: clients that check it refuse the connection or send without TLS")
		}
	}
	return ws
}

// secretsIn are the files with secrets that every user can read: what an option names, or
// what is in that folder.
func secretsIn(f config.NamedFile, info fs.FileInfo) iter.Seq[string] {
	return func(yield func(string) bool) {
		switch {
		case !f.Secret || info.Mode().Perm()&0o007 == 0:
			return
		case !info.IsDir():
			yield(f.Path)
			return
		}
		entries, err := os.ReadDir(f.Path)
		if err != nil {
			return // reported elsewhere
		}
		for _, e := range entries {
			path := filepath.Join(f.Path, e.Name())
			inside, err := os.Stat(path)
			if err == nil && inside.Mode().IsRegular() && inside.Mode().Perm()&0o007 != 0 && !yield(path) {
				return
			}
		}
	}
}

// isPlain reports whether a server of a directory is spoken to without TLS over the
// network. A bare host is spoken to over TLS unless its port is that of LDAP.
func isPlain(server string) bool {
	host := server
	if strings.Contains(server, "://") {
		u, err := url.Parse(server)
		if err != nil || !strings.EqualFold(u.Scheme, "ldap") {
			return false
		}
		host = u.Hostname()
	} else if name, port, err := net.SplitHostPort(server); err == nil && port == "389" {
		host = name
	} else {
		return false
	}
	return host != "localhost" && !net.ParseIP(host).IsLoopback()
}

// unprotected reports whether PostgreSQL on another machine is spoken to without asking
// for TLS: without sslmode it is used where the server offers it.
func unprotected(database string) bool {
	u, err := url.Parse(database)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Query().Get("sslmode") != "" {
		return false
	}
	host := u.Hostname()
	if h := u.Query().Get("host"); h != "" {
		host = h
	}
	return host != "" && !strings.HasPrefix(host, "/") && host != "localhost" && !net.ParseIP(host).IsLoopback()
}

// expired says of a certificate file of a listener that its certificate is not valid now.
func expired(path string, now time.Time) string {
	if path == "" {
		return ""
	}
	list, err := file.ReadCertificates(path)
	if err != nil || len(list) == 0 {
		return "" // a problem of its own
	}
	switch c := list[0]; {
	case now.After(c.NotAfter):
		return "the certificate expired on " + c.NotAfter.UTC().Format(time.DateOnly)
	case now.Before(c.NotBefore):
		return "the certificate is not valid before " + c.NotBefore.UTC().Format(time.DateOnly)
	}
	return ""
}

// reader is a user with their groups.
type reader struct {
	user   int
	groups []int
}

// serviceReader returns the user, by name, of the service that reads the configuration,
// where this process has the user number 0, for whom every file can be read, and nil
// elsewhere. Only the file that the units name is that of the service.
func serviceReader(c *config.Config, process int, name string) *reader {
	if process != 0 || c.File() != config.File {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	names, err := u.GroupIds()
	if err != nil {
		return nil
	}
	r := &reader{}
	if r.user, err = strconv.Atoi(u.Uid); err != nil {
		return nil
	}
	for _, name := range names {
		if id, err := strconv.Atoi(name); err == nil {
			r.groups = append(r.groups, id)
		}
	}
	return r
}

// unwritable warns of a database that the service cannot write: an import as root has made
// it, or its folder.
func (r *reader) unwritable(c *config.Config, f config.NamedFile) config.Problems {
	for _, path := range []string{filepath.Dir(config.Place(f.Path)), config.Place(f.Path)} {
		info, err := os.Stat(path)
		if err == nil && !r.may(info, 0o6) {
			return config.Problems{c.Problem(f.Key, fmt.Sprintf("%q cannot be written by the user %s of the service", path, serviceUser),
				fmt.Sprintf("chown %s: %s", serviceUser, path))}
		}
	}
	return nil
}

// unreadable warns of a configuration that the service cannot read, or whose folder it may not
// enter: an editor, or a copy, has given it to another user.
func (r *reader) unreadable(c *config.Config) config.Problems {
	for _, path := range []string{filepath.Dir(c.File()), c.File()} {
		info, err := os.Stat(path)
		wanted := fs.FileMode(0o4)
		if err == nil && info.IsDir() {
			wanted = 0o1
		}
		if err == nil && !r.may(info, wanted) {
			return config.Problems{{File: c.File(), Text: fmt.Sprintf("%q cannot be read by the user %s of the service, which will not start, and not reload", path, serviceUser),
				Remedy: fmt.Sprintf("chgrp %s %s and chmod g+rX it", serviceUser, path)}}
		}
	}
	return nil
}

// reads reports whether the permissions of a file let the user read it; a folder must
// let them in, too.
func (r *reader) reads(info fs.FileInfo) bool { return r.may(info, 0o4) }

// may reports whether the permissions of a file let the user do what the bits say.
func (r *reader) may(info fs.FileInfo, wanted fs.FileMode) bool {
	owner, group, ok := filesystem.Owner(info)
	if !ok {
		return true
	}
	shift := 0
	switch {
	case owner == r.user:
		shift = 6
	case slices.Contains(r.groups, group):
		shift = 3
	}
	if info.IsDir() {
		wanted |= 0o1
	}
	return info.Mode().Perm()>>shift&wanted == wanted
}
