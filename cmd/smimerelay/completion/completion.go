// Package completion writes what shells need to complete a command line, from the model
// of its verbs and flags.
package completion

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Write writes the script for a shell: bash, zsh or fish.
func Write(w io.Writer, shell string, k *kong.Kong) error {
	switch all := places(k); shell {
	case "bash":
		return writeBash(w, all)
	case "zsh":
		return writeZsh(w, all)
	case "fish":
		return writeFish(w, all)
	}
	return fmt.Errorf("no completion for the shell %q", shell)
}

// place is a verb, and what can follow it.
type place struct {
	verb   string // "cert import", or empty at the beginning
	words  []word
	values map[string][]string // what a flag can be set to, by the flag
}

// word is a verb or a flag with what it does.
type word struct{ text, help string }

// places returns the table of all verbs, in the order of the help.
func places(k *kong.Kong) []place {
	var all []place
	var walk func(verb string, n *kong.Node, inherited []*kong.Flag)
	walk = func(verb string, n *kong.Node, inherited []*kong.Flag) {
		flags := slices.Concat(inherited, n.Flags)
		c := place{verb: verb, values: make(map[string][]string)}
		for _, child := range n.Children {
			c.words = append(c.words, word{child.Name, child.Help})
		}
		for _, f := range flags {
			name := "--" + f.Name
			c.words = append(c.words, word{name, f.Help})
			if f.Enum != "" {
				c.values[name] = strings.Fields(strings.ReplaceAll(f.Enum, ",", " "))
			}
		}
		for _, p := range n.Positional {
			if p.Enum == "" {
				continue // EnumSlice would be one empty word
			}
			for _, value := range p.EnumSlice() {
				c.words = append(c.words, word{value, p.Help})
			}
		}
		all = append(all, c)
		for _, child := range n.Children {
			walk(strings.TrimSpace(verb+" "+child.Name), child, flags)
		}
	}
	walk("", k.Model.Node, nil)
	return all
}

// shellCases writes the cases of a shell's "case" that set words: by the verb and the flag
// before the cursor, then by the verb.
func shellCases(w io.Writer, all []place) error {
	var b strings.Builder
	for _, c := range all {
		for _, w := range c.words {
			if values := c.values[w.text]; values != nil {
				fmt.Fprintf(&b, "    %q) words=%q ;;\n", c.verb+" "+w.text, strings.Join(values, " "))
			}
		}
	}
	b.WriteString("    *) case $verb in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "      %q) words=%q ;;\n", c.verb, join(c.words))
	}
	b.WriteString("    esac ;;\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func join(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}

// verbs is a pattern of all verbs, for a shell's "case".
func verbs(all []place) string {
	var quoted []string
	for _, c := range all[1:] {
		quoted = append(quoted, fmt.Sprintf("%q", c.verb))
	}
	return strings.Join(quoted, "|")
}

// Each of the scripts finds the verb first: the longest run of words before the cursor
// that is one. Where nothing else can follow, files are completed.

func writeBash(w io.Writer, all []place) error {
	fmt.Fprintf(w, `# Completion of smimerelay for bash.
_smimerelay() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb= words= i longer
  for ((i = 1; i < COMP_CWORD; i++)); do
    longer="${verb:+$verb }${COMP_WORDS[i]}"
    case $longer in
    %s) verb=$longer ;;
    esac
  done
  case "$verb $previous" in
`, verbs(all))
	if err := shellCases(w, all); err != nil {
		return err
	}
	_, err := io.WriteString(w, `  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _smimerelay smimerelay
`)
	return err
}

func writeZsh(w io.Writer, all []place) error {
	fmt.Fprintf(w, `#compdef smimerelay
# Completion of smimerelay for zsh.
_smimerelay() {
  local previous=${words[CURRENT-1]} verb= longer i
  local -a before=("${(@)words[2,CURRENT-1]}")
  for i in $before; do
    longer="${verb:+$verb }$i"
    case $longer in
    %s) verb=$longer ;;
    esac
  done
  local words=
  case "$verb $previous" in
`, verbs(all))
	if err := shellCases(w, all); err != nil {
		return err
	}
	_, err := io.WriteString(w, `  esac
  compadd -- ${=words} || _files
}
_smimerelay "$@"
`)
	return err
}

func writeFish(w io.Writer, all []place) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Completion of smimerelay for fish.
function __smimerelay_verb
  set -l verb
  for token in (commandline -opc)[2..-1]
    set -l longer (string trim "$verb $token")
    switch $longer
      case %s
        set verb $longer
    end
  end
  test "$verb" = "$argv[1]"
end
`, strings.ReplaceAll(verbs(all), "|", " "))
	for _, c := range all {
		for _, w := range c.words {
			argument := "-a " + w.text
			if name, ok := strings.CutPrefix(w.text, "--"); ok {
				argument = "-l " + name
			}
			if values := c.values[w.text]; values != nil {
				argument += fmt.Sprintf(" -x -a %q", strings.Join(values, " "))
			}
			fmt.Fprintf(&b, "complete -c smimerelay -n '__smimerelay_verb %q' %s -d '%s'\n", c.verb, argument, strings.ReplaceAll(w.help, "'", `\'`))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
