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

Each recipe is a file in ` + "`docs/recipes`" + ` that works as it is, with a table of test
cases next to it (` + "`.cases.toml`" + `). Both are tested with every build. Copy a recipe,
change the names, and keep the cases: ` + "`smimerelay policy test`" + ` runs them against your
rules.

The first rule that matches a recipient decides. A message is never sent encrypted to one
recipient and in plaintext to another outside the local domains: with
` + "`encrypt = \"require\"`" + ` the recipients who would get plaintext are rejected, with
` + "`encrypt = \"prefer\"`" + ` all recipients get plaintext. Recipients in the local domains
(` + "`domains`" + `) may get plaintext, because the message does not leave the organization;
` + "`mixed = \"forbid\"`" + ` in the rule that encrypts rejects them too, and
` + "`mixed = \"allow\"`" + ` rejects no recipient.

The gateway can only compare recipients of the same transaction, and Postfix splits a
message after 50 recipients by default. Raise that limit: set
` + "`lmtp_destination_recipient_limit`" + ` in ` + "`main.cf`" + ` to at least ` + "`limits.recipients`" + ` of
the gateway (1000), as in [postfix.md](postfix.md).

Delivery reports, read receipts and automatic replies from the null sender pass
unchanged if their whole structure is that of a report or reply and they contain no other
message and no file; ` + "`automatic = \"protect\"`" + ` treats them like all mail. A report that
returns a message is treated like all mail, except that a rule about signing never rejects
it, because no sender would get a report. Encrypted mail always passes unchanged; a
ciphertext with an unknown cipher, without recipients, or with readable text next to it is
not treated as encrypted.

If a header field or a file name is ambiguous, such as a subject in an unknown charset or
an attachment with two names, the strictest of the rules that may match decides, and a
possible trigger counts as a request for protection. The log shows this.
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
