package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/userfile"
)

type userCmd struct {
	Add    userAddCmd    `cmd:"" help:"Add a user."`
	Passwd userPasswdCmd `cmd:"" help:"Set another password for a user."`
	Remove userRemoveCmd `cmd:"" help:"Remove a user."`
	List   userListCmd   `cmd:"" help:"List the users."`
}

// userFlags say which file is meant.
type userFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, of which auth.users_file is used."`
	File   string `placeholder:"FILE" help:"The file with the users, instead of that of the configuration."`
}

// path returns the path of the file with the users. Other problems of the configuration
// are not the business of these verbs.
func (f userFlags) path() (string, error) {
	if f.File != "" {
		return f.File, nil
	}
	c, problems := config.Load(f.Config)
	switch {
	case c == nil:
		return "", problems
	case c.Auth.UsersFile == "":
		return "", config.Problems{c.Problem("auth.users_file", "is not set", "set it, or use --file")}
	}
	return config.Place(c.Auth.UsersFile), nil
}

type userAddCmd struct {
	userFlags
	Name string `arg:"" help:"Name of the user, such as alice or alice@example.org."`
}

// Help is shown below the summary.
func (userAddCmd) Help() string {
	return `Adds a user who may log in at listeners with auth, and send outbound mail there. The password is asked for at a terminal, or read from the first line of standard input; it is stored as an argon2id hash. A running gateway uses it at once. The name, in lower case, is what user means in rules and in [[entitlement]].`
}

func (userAddCmd) examples() string {
	return `smimerelay user add erp@example.org
		smimerelay user add --file /etc/smimerelay/users erp@example.org < password`
}

// Run adds the user.
func (c *userAddCmd) Run(a *app) error {
	return c.change(a, c.Name, "added", userfile.Add)
}

type userPasswdCmd struct {
	userFlags
	Name string `arg:"" help:"Name of the user."`
}

func (userPasswdCmd) examples() string { return `smimerelay user passwd erp@example.org` }

// Run sets the password.
func (c *userPasswdCmd) Run(a *app) error {
	return c.change(a, c.Name, "password set", userfile.SetPassword)
}

// change asks for a password and changes the file with it.
func (f userFlags) change(a *app, name, done string, edit func(path, user, password string) error) error {
	path, err := f.path()
	if err != nil {
		return err
	}
	password, err := a.newPassword()
	if err != nil {
		return unusable(err)
	}
	if err := edit(path, name, password); err != nil {
		return negative(err)
	}
	out := a.page()
	out.line("%s: %s", strings.ToLower(name), done)
	return out.err
}

type userRemoveCmd struct {
	userFlags
	Name string `arg:"" help:"Name of the user."`
}

func (userRemoveCmd) examples() string { return `smimerelay user remove erp@example.org` }

// Run removes the user.
func (c *userRemoveCmd) Run(a *app) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if err := userfile.Remove(path, c.Name); err != nil {
		return negative(err)
	}
	out := a.page()
	out.line("%s: removed", strings.ToLower(c.Name))
	return out.err
}

type userListCmd struct {
	userFlags
}

func (userListCmd) examples() string { return `smimerelay user list` }

// Run prints the names.
func (c *userListCmd) Run(a *app) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	names, err := userfile.Names(path)
	if err != nil {
		return unusable(err)
	}
	out := a.page()
	for _, name := range names {
		out.line("%s", name)
	}
	return out.err
}

// newPassword asks twice at a terminal, without showing what is typed, and reads the first
// line of anything else.
func (a *app) newPassword() (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("standard input: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		out := page{w: a.stderr}
		out.line("%s", prompt)
		text, err := term.ReadPassword(int(f.Fd()))
		return string(text), errors.Join(err, out.err)
	}
	first, err := ask("Password (it is not shown):")
	if err != nil {
		return "", err
	}
	second, err := ask("Password again:")
	if err == nil && first != second {
		err = errors.New("the two passwords are not the same; try again")
	}
	return first, err
}
