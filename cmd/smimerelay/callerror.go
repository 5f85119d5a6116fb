package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// What kong says of a word that is none of an enumeration, and of an argument and a flag
// that it does not know.
var (
	noWord     = regexp.MustCompile(`^(\S+) must be one of (.*) but got "(.*)"$`)
	noArgument = regexp.MustCompile(`^unexpected argument (.*?)(, did you mean .*)?$`)
	noValue    = regexp.MustCompile(`^(\S+): (?:missing value, expecting|expected \S+ value but got).*$`)
	noTime     = regexp.MustCompile(`^(\S+): parsing time ("[^"]*").*$`)
	noShort    = regexp.MustCompile(`^unknown flag (-[a-zA-Z])(, did you mean .*)?$`)
)

// plain says what is wrong with a call, and which word was probably meant.
func plain(err error) string {
	text := err.Error()
	if m := noWord.FindStringSubmatch(text); m != nil {
		words := strings.Split(strings.TrimPrefix(strings.ReplaceAll(m[2], `"`, ""), ","), ",")
		return fmt.Sprintf("%s: unknown word %q; %s", m[1], m[3], whichWord(m[3], words))
	}
	if m := noArgument.FindStringSubmatch(text); m != nil && strings.HasSuffix(m[1], ".toml") {
		if _, err := os.Stat(m[1]); err == nil {
			return fmt.Sprintf("unexpected argument %s; write --config %s", m[1], m[1])
		}
	}
	if m := noValue.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: the value is missing; write it behind %[1]s, as %[1]s=VALUE if it begins with -", m[1])
	}
	if m := noTime.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: %s is not a time; write one such as 2026-12-31T12:00:00Z", m[1], m[2])
	}
	if m := noShort.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown flag %s; flags have long names, such as --config", m[1])
	}
	return text
}

func whichWord(word string, words []string) string {
	if near := config.Nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write " + strings.Join(words, ", ")
}
