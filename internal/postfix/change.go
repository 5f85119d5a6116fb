package postfix

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Change is what a setup adds to main.cf and master.cf.
type Change struct {
	main     []parameter
	services []addition
}

type parameter struct{ name, value string }

// addition is a service that is to be there, with parameters.
type addition struct {
	name, kind, line string
	options          []parameter
}

// ParseChange reads lines of main.cf and of master.cf, as the manual has them.
func ParseChange(main, master string) Change {
	var c Change
	for line := range strings.Lines(main) {
		if name, value, ok := assignment(line); ok {
			c.main = append(c.main, parameter{name, value})
		}
	}
	for line := range strings.Lines(master) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 8:
			c.services = append(c.services, addition{name: f[0], kind: f[1], line: strings.Join(f, " ")})
		case len(f) == 2 && f[0] == "-o" && len(c.services) > 0:
			name, value, _ := assignment(f[1])
			last := &c.services[len(c.services)-1]
			last.options = append(last.options, parameter{name, value})
		}
	}
	return c
}

// submission are the names of the ports of master.cf by which users send mail.
var submission = []string{"submission", "submissions", "smtps", "587", "465"}

// Step is one call of postconf, and the one that undoes it; nil where an earlier step's
// does.
type Step struct{ Do, Undo []string }

// Plan returns the calls that make the change. Services of Postfix itself that are not in
// master.cf are not added.
func (s *Settings) Plan(c Change) (steps []Step) {
	for _, p := range c.main {
		back := []string{"-X", p.name}
		if old, ok := s.explicit[p.name]; ok {
			back = []string{"-e", p.name + " = " + old}
		}
		steps = append(steps, Step{[]string{"-e", p.name + " = " + p.value}, back})
	}
	for _, a := range c.services {
		for _, there := range s.meant(a) {
			steps = append(steps, there.set(a.options)...)
		}
		if strings.Contains(a.name, ":") && s.service(a.name, a.kind) == nil {
			key := a.name + "/" + a.kind
			steps = append(steps, Step{[]string{"-M", key + "=" + a.line}, []string{"-MX", key}})
			for _, p := range a.options {
				steps = append(steps, Step{Do: []string{"-P", key + "/" + p.name + "=" + p.value}})
			}
		}
	}
	return steps
}

// set gives a service parameters of its own.
func (s *Service) set(options []parameter) (steps []Step) {
	for _, p := range options {
		key := s.Name + "/" + s.Type + "/" + p.name
		back := []string{"-PX", key}
		if old, ok := s.raw[p.name]; ok {
			back = []string{"-P", key + "=" + old}
		}
		steps = append(steps, Step{[]string{"-P", key + "=" + p.value}, back})
	}
	return steps
}

// meant are the services of master.cf that an addition changes.
func (s *Settings) meant(a addition) (found []*Service) {
	names := []string{a.name}
	if a.name == "submission" {
		names = submission
	}
	for _, name := range names {
		if there := s.service(name, a.kind); there != nil {
			found = append(found, there)
		}
	}
	return found
}

// Apply makes the calls on a folder, all or none.
func Apply(ctx context.Context, folder string, steps []Step) error {
	for i, step := range steps {
		if _, err := postconf(ctx, folder, step.Do...); err != nil {
			for _, done := range slices.Backward(steps[:i]) {
				if done.Undo != nil {
					_, undone := postconf(ctx, folder, done.Undo...)
					err = errors.Join(err, undone)
				}
			}
			return err
		}
	}
	return nil
}

// Command is a call of postconf as a line for a shell.
func Command(folder string, args []string) string {
	words := append([]string{"postconf", "-c", folder}, args...)
	for i, w := range words {
		if strings.ContainsAny(w, " =[]:/'\"$*{},") && !strings.HasPrefix(w, "/") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
