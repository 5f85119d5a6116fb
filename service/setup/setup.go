// Package setup writes the configuration of a new gateway, and the lines by which Postfix
// leads to it, from what an administrator answers.
package setup

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"strings"

	"github.com/smimerelay/smimerelay/docs/recipes"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Answers are what a configuration is made from. The names in a file of answers are those
// of the flags.
type Answers struct {
	Domains      []string `toml:"domain" name:"domain" placeholder:"DOMAIN" help:"A local domain. Repeatable."`
	Hostname     string   `toml:"hostname" placeholder:"NAME" help:"Host name of the gateway (default: that of the host)."`
	Way          string   `toml:"way" enum:",filter,milter,relay" default:"" placeholder:"WAY" help:"How mail gets to the gateway: filter (behind Postfix's content_filter), milter, or relay (SMTP)."`
	Rules        string   `toml:"rules" placeholder:"RECIPE" help:"A recipe of docs/recipes.md, such as sign-where-possible, opportunistic, senders-choice, encrypt-all."`
	Public       string   `toml:"public" enum:",yes,no" default:"" placeholder:"yes|no" help:"Trust the authorities that Mozilla trusts for mail."`
	LDAP         string   `toml:"ldap" placeholder:"URL" help:"LDAP server with recipients' certificates: ldaps://HOST; none for no directory."`
	Base         string   `toml:"ldap-base" name:"ldap-base" placeholder:"DN" help:"Base of LDAP searches."`
	BindDN       string   `toml:"ldap-bind-dn" name:"ldap-bind-dn" placeholder:"DN" help:"DN to bind as (default: anonymous)."`
	PasswordFile string   `toml:"ldap-password-file" name:"ldap-password-file" placeholder:"FILE" help:"File with the password of --ldap-bind-dn."`
	Test         string   `toml:"ldap-test" name:"ldap-test" placeholder:"ADDRESS" help:"A recipient whose certificate is looked up to try the directory."`
	Authority    string   `toml:"authority" placeholder:"URL" help:"Create the built-in CA, whose CRLs partners fetch below this URL (http); none for no CA."`
	Organization string   `toml:"organization" placeholder:"NAME" help:"Your organization, for the built-in CA."`
	Country      string   `toml:"country" placeholder:"XX" help:"Your country, two capital letters, for the built-in CA."`
	Import       []string `toml:"import" placeholder:"PATH" help:"Identities and certificates to import (PKCS #12, PEM). Repeatable."`
	ImportSecret string   `toml:"import-password-file" name:"import-password-file" placeholder:"FILE" help:"File with the password of the files of --import."`
	NextHop      string   `toml:"next-hop" name:"next-hop" placeholder:"HOST:PORT" help:"relay: the server to which the gateway delivers."`
	State        string   `toml:"state" default:"/var/lib/smimerelay" placeholder:"FOLDER" help:"Folder of store, key and queue."`
}

// Missing are the flags without which nothing can be written.
func (a *Answers) Missing() (flags []string) {
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--domain", len(a.Domains) > 0}, {"--way", a.Way != ""}, {"--rules", a.Rules != ""},
		{"--next-hop", a.Way != "relay" || a.NextHop != ""}, {"--ldap-base", !given(a.LDAP) || a.Base != ""},
		{"--organization", !given(a.Authority) || a.Organization != ""}, {"--country", !given(a.Authority) || a.Country != ""},
	} {
		if !f.given {
			flags = append(flags, f.flag)
		}
	}
	return flags
}

// given reports whether an answer says something other than none.
func given(answer string) bool { return answer != "" && answer != "none" }

// recipe is a rule set of the manual.
type recipe struct{ name, title, tables string }

// foreign are headers of tables that a first configuration has anyway, or that no rule set
// alone explains.
var foreign = regexp.MustCompile(`(?m)^\[+(admin|ca|queue|trust|identities|listener|next_hop|directory|store|expiry|inbound|entitlement)\b`)

// usable are the recipes that consist of rules alone, in the order of the manual.
func usable() (all []recipe) {
	files, _ := fs.Glob(recipes.Files, "*.toml") // the pattern is well-formed
	for _, f := range files {
		text, _ := recipes.Files.ReadFile(f) // it is embedded
		_, tables, found := strings.Cut(string(text), "domains = [\"example.org\"]\n")
		if !found || strings.HasSuffix(f, ".cases.toml") || foreign.MatchString(tables) {
			continue
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		all = append(all, recipe{strings.TrimSuffix(f, ".toml")[len("00-"):], title, strings.TrimSpace(tables) + "\n"})
	}
	return all
}

// rules returns the tables of a recipe for the local domains.
func (a *Answers) rules() (string, error) {
	var names []string
	for _, r := range usable() {
		if names = append(names, r.name); r.name != a.Rules {
			continue
		}
		mine := `"` + strings.Join(a.Domains, `", "`) + `"`
		below := `".` + strings.Join(a.Domains, `", ".`) + `"`
		return strings.NewReplacer(`"example.org"`, mine, `".example.org"`, below, "example.org", a.Domains[0]).Replace(r.tables), nil
	}
	remedy := "write one of " + strings.Join(names, ", ")
	if near := config.Nearest(a.Rules, names); near != "" {
		remedy = fmt.Sprintf("did you mean %q?", near)
	}
	return "", fmt.Errorf("--rules: there is no rule set %q; %s", a.Rules, remedy)
}

//go:embed ways
var ways embed.FS

// block returns a block of README.md about the way in.
func (a *Answers) block(kind string) string {
	text, err := ways.ReadFile("ways/" + a.Way + "." + kind)
	if err != nil {
		return "" // the relay has no master.cf
	}
	return string(text)
}

// Postfix is what leads Postfix to the gateway.
func (a *Answers) Postfix(mta *postfix.Settings) postfix.Change {
	return postfix.ParseChange(a.Lines(mta))
}

// Lines are the same as text for main.cf and master.cf. Where mail from the gateway leaves
// stands the relayhost that Postfix has. mta is nil where it is not known.
func (a *Answers) Lines(mta *postfix.Settings) (main, master string) {
	main, master = a.block("main.cf"), a.block("master.cf")
	if mta == nil {
		return main, master
	}
	if relayhost := mta.Main("relayhost"); relayhost != "" {
		master = strings.ReplaceAll(master, "content_filter=smtp:\n", "content_filter=smtp:"+relayhost+"\n")
	}
	return a.sizes(mta, main, master)
}

// check says what cannot be written into a configuration.
func (a *Answers) check() error {
	for _, d := range a.Domains {
		if _, err := address.Parse("x@" + d); err != nil {
			return fmt.Errorf("--domain: %q is not a domain; write one such as example.com", d)
		}
	}
	if a.BindDN != "" && a.PasswordFile == "" {
		return errors.New("--ldap-password-file: is missing; name a file with the password of --ldap-bind-dn")
	}
	return nil
}

// Fill takes from other answers what these leave open.
func (a *Answers) Fill(other Answers) {
	into, from := reflect.ValueOf(a).Elem(), reflect.ValueOf(other)
	for i := range into.NumField() {
		f := into.Type().Field(i)
		if v := into.Field(i); v.IsZero() || v.Kind() == reflect.String && v.String() == f.Tag.Get("default") && !from.Field(i).IsZero() {
			v.Set(from.Field(i))
		}
	}
}
