package dsn

import (
	"cmp"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// reasons say in a language why a recipient got no message, and what the sender can do. What
// the gateway's rules say is a closed list of sentences (package enforce); what a next hop
// says stays as it is.
type reasons struct {
	sentences []sentence
	words     *strings.Replacer
}

type sentence struct {
	pattern        *regexp.Regexp
	reason, advice string
}

// readReasons reads reasons.txt: paragraphs of a pattern, a line "= REASON" ("" leaves the
// sentence) and a line "> ADVICE"; and lines "WORD = WORD" for what stands within them.
func readReasons(base fs.FS) (*reasons, error) {
	data, err := fs.ReadFile(base, "reasons.txt")
	if err != nil {
		return nil, err
	}
	r := &reasons{}
	var pairs []string
	for number, line := range strings.Split(string(data), "\n") {
		last := len(r.sentences) - 1
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "= ") && last >= 0:
			r.sentences[last].reason = line[2:]
		case strings.HasPrefix(line, "> ") && last >= 0:
			r.sentences[last].advice = line[2:]
		case line[0] == '^':
			pattern, err := regexp.Compile(line)
			if err != nil {
				return nil, fmt.Errorf("reasons.txt:%d: %w", number+1, err)
			}
			r.sentences = append(r.sentences, sentence{pattern: pattern})
		default:
			from, to, _ := strings.Cut(line, " = ")
			pairs = append(pairs, from, to)
		}
	}
	r.words = strings.NewReplacer(pairs...)
	return r, nil
}

// rest is the name of a group of a pattern that is itself a reason; "$rest" is its place.
const rest = "rest"

// explain returns a reason in the language, and what to do about it.
func (r *reasons) explain(reason string) (why, advice string) {
	for _, s := range r.sentences {
		m := s.pattern.FindStringSubmatchIndex(reason)
		if m == nil {
			continue
		}
		why, advice = reason, s.advice
		if s.reason != "" {
			why = r.words.Replace(string(s.pattern.ExpandString(nil, strings.ReplaceAll(s.reason, "$"+rest, "\x00"), reason, m)))
		}
		if i := s.pattern.SubexpIndex(rest); i >= 0 {
			inner, innerAdvice := r.explain(reason[m[2*i]:m[2*i+1]])
			why = strings.ReplaceAll(why, "\x00", inner)
			advice = cmp.Or(advice, innerAdvice)
		}
		return why, advice
	}
	return reason, ""
}
