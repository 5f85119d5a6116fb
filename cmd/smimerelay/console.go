package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

type consoleCmd struct {
	Account consoleAccountCmd `cmd:"" help:"Manage the accounts of the console."`
	Token   consoleTokenCmd   `cmd:"" help:"Manage the tokens of the API."`
}

type consoleAccountCmd struct {
	Add    accountAddCmd    `cmd:"" help:"Add an account."`
	List   accountListCmd   `cmd:"" help:"List the accounts."`
	Passwd accountPasswdCmd `cmd:"" help:"Set another password for an account."`
	Role   accountRoleCmd   `cmd:"" help:"Give an account another role."`
	TOTP   accountTOTPCmd   `cmd:"" name:"totp" help:"Require one-time codes for an account, or no longer."`
	Link   accountLinkCmd   `cmd:"" help:"Print a link that signs an account in once."`
	Unlock accountUnlockCmd `cmd:"" help:"Unlock an account after failed attempts to sign in."`
	Remove accountRemoveCmd `cmd:"" help:"Remove an account with its sessions and tokens."`
}

// consoleFlags say where the accounts are.
type consoleFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, of which [console] and [store] are used."`
}

// with opens the accounts, which a gateway may be using, does something with them and
// closes them. The actor is the user at the command line.
func (f consoleFlags) with(a *app, do func(ctx context.Context, s *access.Store, c *config.Config, by access.Actor) error) error {
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return problems
	}
	place, err := service.ConsolePlace(c, a.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		return unusable(err)
	}
	s, err := access.Open(background(), place)
	if err != nil {
		return unusable(fmt.Errorf("%w; check [console] path in %s and which user you are", err, f.Config))
	}
	err = do(background(), s, c, hostActor())
	if err != nil && !isStatus(err) {
		err = negative(err)
	}
	return errors.Join(err, s.Close())
}

func isStatus(err error) bool {
	_, ok := errors.AsType[*statusError](err)
	return ok
}

// say prints one line about an account.
func said(a *app, name, done string) error {
	p := a.page()
	p.line("%s: %s", strings.ToLower(name), done)
	return p.err
}

type accountAddCmd struct {
	consoleFlags
	Role       string `required:"" enum:"viewer,operator,administrator" placeholder:"ROLE" help:"What the account may do: viewer, operator or administrator."`
	NoPassword bool   `help:"Without a password: the account can only sign in by a link, or is only the owner of tokens."`
	Name       string `arg:"" help:"Name of the account, such as alice or alice@example.org."`
}

// Help is shown below the summary.
func (accountAddCmd) Help() string {
	return `A viewer sees messages, queue, certificates, rules and the configuration, but not the text of mail; an operator also retries, holds, releases and returns mail, imports and looks up certificates, and tests the rules; an administrator also removes mail, releases it in plaintext, allows, blocks and pins certificates, issues and revokes those of the built-in CA, checks and reloads the configuration, replays other rules on the history, has messages explained, and reads the accounts, tokens and the audit log. The password is asked for at a terminal, or read from the first line of standard input; it has at least 12 characters and is stored as an argon2id hash. Accounts of the console are not the users who may log in to send mail; see smimerelay user.`
}

func (accountAddCmd) examples() string {
	return `smimerelay console account add --role administrator alice
		smimerelay console account add --role viewer monitoring < password`
}

// Run adds an account.
func (c *accountAddCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		password := ""
		if !c.NoPassword {
			var err error
			if password, err = a.newPassword(); err != nil {
				return unusable(err)
			}
			if password == "" {
				return unusable(errors.New("the password is empty; write it on the first line, or add --no-password"))
			}
		}
		if err := s.AddUser(ctx, by, c.Name, access.Role(c.Role), password); err != nil {
			return err
		}
		return said(a, c.Name, "added, "+c.Role)
	})
}

type accountListCmd struct {
	consoleFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (accountListCmd) examples() string { return `smimerelay console account list` }

// Run prints the accounts.
func (c *accountListCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		users, err := s.Users(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(users)
		}
		p := a.page()
		for _, u := range users {
			code := ""
			switch {
			case u.TOTP:
				code = ", one-time codes"
			case u.Issuer != "":
				code = ", of " + u.Issuer
			}
			p.line("%-24s %s, since %s%s", u.Name, u.Role, u.Created.Format(time.DateOnly), code)
		}
		p.line("%d accounts", len(users))
		return p.err
	})
}

type accountPasswdCmd struct {
	consoleFlags
	Name string `arg:"" help:"Name of the account."`
}

// Help is shown below the summary.
func (accountPasswdCmd) Help() string { return `Its sessions end.` }

func (accountPasswdCmd) examples() string { return `smimerelay console account passwd alice` }

// Run sets the password.
func (c *accountPasswdCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		password, err := a.newPassword()
		if err != nil {
			return unusable(err)
		}
		if err := s.SetPassword(ctx, by, c.Name, password); err != nil {
			return err
		}
		return said(a, c.Name, "password set")
	})
}

type accountRoleCmd struct {
	consoleFlags
	Name string `arg:"" help:"Name of the account."`
	Role string `arg:"" enum:"viewer,operator,administrator" help:"The role: viewer, operator or administrator."`
}

func (accountRoleCmd) examples() string { return `smimerelay console account role alice operator` }

// Run sets the role.
func (c *accountRoleCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		if err := s.SetRole(ctx, by, c.Name, access.Role(c.Role)); err != nil {
			return err
		}
		return said(a, c.Name, c.Role)
	})
}

type accountTOTPCmd struct {
	consoleFlags
	Off  bool   `help:"Require no one-time codes any more."`
	Name string `arg:"" help:"Name of the account."`
}

// Help is shown below the summary.
func (accountTOTPCmd) Help() string {
	return `Prints a new secret, as an address that authenticator apps read (RFC 6238). From then on the account needs a one-time code to sign in; its sessions end.`
}

func (accountTOTPCmd) examples() string {
	return `smimerelay console account totp alice
		smimerelay console account totp alice | qrencode -t ansiutf8`
}

// Run makes a secret.
func (c *accountTOTPCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, cfg *config.Config, by access.Actor) error {
		if c.Off {
			if err := s.SetTOTP(ctx, by, c.Name, ""); err != nil {
				return err
			}
			return said(a, c.Name, "no one-time codes")
		}
		key, err := totp.Generate(totp.GenerateOpts{Issuer: "smimerelay " + cfg.Hostname, AccountName: c.Name})
		if err != nil {
			return err
		}
		if err := s.SetTOTP(ctx, by, c.Name, key.Secret()); err != nil {
			return err
		}
		p := a.page()
		p.line("%s", key.URL())
		return p.err
	})
}

type accountLinkCmd struct {
	consoleFlags
	Name string `arg:"" help:"Name of the account."`
}

// linkLifetime is how long a link can be used.
const linkLifetime = 15 * time.Minute

// Help is shown below the summary.
func (accountLinkCmd) Help() string {
	return `The link can be used once, within 15 minutes, and needs neither password nor one-time code. Keep it secret: it gives full access to the account.`
}

func (accountLinkCmd) examples() string { return `smimerelay console account link alice` }

// Run prints a link.
func (c *accountLinkCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, cfg *config.Config, by access.Actor) error {
		secret, err := s.CreateLink(ctx, by, c.Name, linkLifetime)
		if err != nil {
			return err
		}
		p := a.page()
		p.line("%s", service.ConsoleLink(cfg, secret))
		return p.err
	})
}

type accountUnlockCmd struct {
	consoleFlags
	Name string `arg:"" help:"Name of the account."`
}

func (accountUnlockCmd) examples() string { return `smimerelay console account unlock alice` }

// Run unlocks.
func (c *accountUnlockCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		if err := s.Unlock(ctx, by, c.Name); err != nil {
			return err
		}
		return said(a, c.Name, "unlocked")
	})
}

type accountRemoveCmd struct {
	consoleFlags
	Name string `arg:"" help:"Name of the account."`
}

func (accountRemoveCmd) examples() string { return `smimerelay console account remove alice` }

// Run removes the account.
func (c *accountRemoveCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		if err := s.RemoveUser(ctx, by, c.Name); err != nil {
			return err
		}
		return said(a, c.Name, "removed")
	})
}
