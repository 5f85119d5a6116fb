package service

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/relay/policytest"
)

const recipesFolder = "../docs/recipes"

func recipeFiles(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(recipesFolder + "/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	var recipes []string
	for _, f := range all {
		if !strings.HasSuffix(f, ".cases.toml") {
			recipes = append(recipes, f)
		}
	}
	if len(recipes) < 20 {
		t.Fatalf("%d recipes", len(recipes))
	}
	return recipes
}

// TestRecipes loads each recipe of the manual as a configuration and runs the
// cases beside it.
func TestRecipes(t *testing.T) {
	for _, file := range recipeFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			parts, problems := loadElsewhere(t, file)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			defer parts.Close()
			data, err := os.ReadFile(strings.TrimSuffix(file, ".toml") + ".cases.toml")
			if err != nil {
				t.Fatal(err)
			}
			cases, err := policytest.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			results, err := policytest.Run(context.Background(), parts.Gateway.Config, cases)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				for _, f := range r.Failures {
					t.Errorf("line %d: %s: %s", r.Line, r.Name, f)
				}
			}
		})
	}
}

// TestRecipesPage holds the page to the files that are tested.
func TestRecipesPage(t *testing.T) {
	const page = "../docs/recipes.md"
	var b strings.Builder
	b.WriteString(recipesHead)
	for _, file := range recipeFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		writeRecipe(&b, filepath.Base(file), string(data))
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("docs/recipes.md is not what docs/recipes says; run go test ./service -update\n%s", diff)
	}
}

const recipesHead = `# Recipes

Each of these is a file under ` + "`docs/recipes`" + ` that works as it is, with a table of
cases beside it (` + "`.cases.toml`" + `) that says who gets what. Both are tested with every
build. Copy one, change the names, keep the cases: ` + "`smimerelay policy test`" + ` runs
them against your rules.

The first rule that matches a recipient decides. One text never goes encrypted to
one and in the clear to another outside: with ` + "`encrypt = \"require\"`" + ` those who would get
it in the clear are refused, with ` + "`encrypt = \"prefer\"`" + ` everybody gets it in the clear.
Colleagues (recipients of ` + "`domains`" + `) may have it in the clear, since it never leaves the
house; ` + "`mixed = \"forbid\"`" + ` in the rule that encrypts refuses them too, and
` + "`mixed = \"allow\"`" + ` refuses nobody.

The gateway can only compare the recipients that it sees together, and Postfix splits
a message at 50 recipients unless it is told otherwise. Let it hand over all recipients
in one transaction: set ` + "`lmtp_destination_recipient_limit`" + ` in ` + "`main.cf`" + ` to at least
` + "`limits.recipients`" + ` of the gateway (1000), as in [postfix.md](postfix.md).

Delivery reports, read receipts and automatic replies from the null sender pass as
they are, if they are that by their whole structure and bring no message and no file
with them; ` + "`automatic = \"protect\"`" + ` treats them like all mail. One that brings a message
back is mail like any other, except that a rule about signing never refuses it: nobody
would learn of that. What is encrypted already is never touched; a ciphertext in an
unknown cipher, for nobody, or with text beside it counts as not encrypted.

What a rule looks at and cannot read for sure, such as a subject in an unknown charset
or an attachment under two names, may say anything: the strictest of the rules that may
match decides, and a trigger that may be there counts as a wish for protection. The log
says so.
`

// writeRecipe writes the comment at the head of a file as text, and the rest as
// it is but for the lines that all have.
func writeRecipe(b *strings.Builder, name, data string) {
	head, body, _ := strings.Cut(data, "\n\n")
	title, text, _ := strings.Cut(head, "\n#\n")
	text = strings.ReplaceAll(strings.TrimPrefix(text, "# "), "\n# ", "\n")
	_, body, _ = strings.Cut(body, "\n\n")
	b.WriteString("\n## " + strings.TrimPrefix(title, "# ") + "\n\n" + text + "\n\n`docs/recipes/" + name + "`\n\n```toml\n" + strings.TrimSpace(body) + "\n```\n")
}
