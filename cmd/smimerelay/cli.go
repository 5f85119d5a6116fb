package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/internal/config"
)

// cli is the command line. The help text and the manual page are made from it.
type cli struct {
	Serve   serveCmd   `cmd:"" group:"gateway" help:"Run the gateway."`
	Check   checkCmd   `cmd:"" group:"gateway" help:"Check a configuration file without starting the gateway."`
	Doctor  doctorCmd  `cmd:"" group:"gateway" help:"Examine the gateway and what is around it, and name remedies."`
	Init    initCmd    `cmd:"" group:"gateway" help:"Write an initial configuration file with explanations."`
	Explain explainCmd `cmd:"" group:"gateway" help:"Show what the rules do with a message, and why."`
	Trace   traceCmd   `cmd:"" group:"gateway" help:"Tell what became of a message."`
	Policy  policyCmd  `cmd:"" group:"gateway" help:"Test the rules, and try new ones."`
	CA      caCmd      `cmd:"" name:"ca" group:"certificates" help:"Run the built-in certificate authority."`
	Enrol   enrolCmd   `cmd:"" group:"certificates" help:"Show and manage certificate orders."`
	Route   routeCmd   `cmd:"" group:"gateway" help:"Show by which way mail leaves."`
	Queue   queueCmd   `cmd:"" group:"gateway" help:"Show and manage the queue."`
	User    userCmd    `cmd:"" group:"gateway" help:"Manage the users who may log in."`
	Console consoleCmd `cmd:"" group:"gateway" help:"Manage who may use the console and its API."`
	Audit   auditCmd   `cmd:"" group:"gateway" help:"Show what administrators changed."`
	Store   storeCmd   `cmd:"" group:"gateway" help:"Migrate the store and the queue to another database."`
	Backup  backupCmd  `cmd:"" group:"gateway" help:"Back up the store, the queue and the configuration, while the gateway is running."`
	Restore restoreCmd `cmd:"" group:"gateway" help:"Restore a backup, also on another machine and into another database."`
	Health  healthCmd  `cmd:"" group:"gateway" help:"Ask the running gateway whether it is ready."`
	Demo    demoCmd    `cmd:"" group:"gateway" help:"Create a small working setup and send messages through it."`

	Verify  verifyCmd  `cmd:"" group:"offline" help:"Verify the signatures of a message."`
	Decrypt decryptCmd `cmd:"" group:"offline" help:"Decrypt a message."`
	Sign    signCmd    `cmd:"" group:"offline" help:"Sign a message."`
	Encrypt encryptCmd `cmd:"" group:"offline" help:"Encrypt a message."`
	Trust   trustCmd   `cmd:"" group:"certificates" help:"Show and update the list of public authorities."`
	Cert    certCmd    `cmd:"" group:"certificates" help:"Manage certificates and identities."`
	Version versionCmd `cmd:"" group:"offline" help:"Print the version, as --version does."`

	Help       helpCmd       `cmd:"" group:"offline" help:"Print the help of a verb."`
	Completion completionCmd `cmd:"" group:"offline" help:"Print what a shell needs to complete commands."`
}

const description = `An S/MIME gateway for mail.

Exit status: 0 success (verify, cert check: pass); 1 negative result: not valid, not decryptable, rejected; 2 usage error or invalid input; 3 the message is not signed (verify); 4 warnings only (doctor); 78 bad configuration.`

// helpAsked ends parsing after --help printed; kong's way out is os.Exit.
type helpAsked struct{}

// parser returns the parser of the command line with the texts of all verbs.
func parser(target *cli, a *app) (*kong.Kong, error) {
	return kong.New(target,
		kong.Name("smimerelay"),
		kong.Description(description),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(int) { panic(helpAsked{}) }),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 80}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "gateway", Title: "The gateway:"},
			{Key: "certificates", Title: "Certificates:"},
			{Key: "offline", Title: "One message, offline, and help:"},
		}),
		kong.ValueFormatter(valueHelp),
		kong.Bind(a),
		kong.Vars{
			"ciphers":    strings.Join(ciphers, ","),
			"digests":    strings.Join(digests, ","),
			"config":     config.File,
			"revocation": "require,prefer,off",
			"reasons":    strings.Join(ca.Reasons, ","),
			"reasonlist": strings.Join(ca.Reasons, ", "),
		},
	)
}

// The words of the command line for algorithms; empty is the default.
var (
	ciphers = []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"}
	digests = []string{"sha-256", "sha-384", "sha-512"}
)

// versionFlags ask for the version, as those of other programs do.
var versionFlags = []string{"--version", "-version", "-v", "-V"}

// run does what args say and returns the exit status.
func run(args []string, a *app) (status int) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil:
		case helpAsked:
			status = exitDone
		default:
			panic(r)
		}
	}()
	k, err := parser(&cli{}, a)
	if err != nil {
		return a.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if slices.Contains(versionFlags, args[0]) {
		args = append([]string{"version"}, args[1:]...)
	}
	ctx, err := k.Parse(args)
	if err != nil {
		return a.fail(callError(err))
	}
	return a.fail(a.runAudited(ctx))
}

// callError names the help that belongs to a call that could not be parsed.
func callError(err error) error {
	help := "smimerelay --help"
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		if cmd := e.Context.Selected(); cmd != nil {
			help = "smimerelay " + strings.TrimPrefix(cmd.Path(), "smimerelay ") + " --help"
		}
	}
	return unusable(fmt.Errorf("%s; see %s", plain(err), help))
}

// printHelp is kong's help with the examples of the verb behind it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if ctx.Selected() == nil {
		return nil
	}
	if e, ok := ctx.Selected().Target.Addr().Interface().(exampled); ok {
		fmt.Fprintf(ctx.Stdout, "\nExamples:\n%s", indent(e.examples()))
	}
	return nil
}

// valueHelp is the help of a flag or argument with its default behind it, which
// kong shows only where there is no placeholder.
func valueHelp(v *kong.Value) string {
	if v.Flag != nil && v.Default != "" && v.Flag.PlaceHolder != "" {
		return strings.TrimSuffix(v.Help, ".") + " (default " + v.Default + ")."
	}
	return v.Help
}

// exampled is a verb with examples, one a line.
type exampled interface{ examples() string }

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		b.WriteString("  " + strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
