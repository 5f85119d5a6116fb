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

// Step is one call of postconf, and those that undo it. A call sets as much as it can: after a
// change postconf waits for about a second before it reads the file again.
type Step struct {
	Do   []string
	Undo [][]string
}

// Plan returns the calls that make the change. Services of Postfix itself that are not in
// master.cf are not added.
func (s *Settings) Plan(c Change) (steps []Step) {
	main, services, options := edit{set: "-e", remove: "-X"}, edit{set: "-M", remove: "-MX"}, edit{set: "-P", remove: "-PX"}
	for _, p := range c.main {
		old, there := s.explicit[p.name]
		main.add(p.name, " = ", p.value, old, there)
	}
	for _, a := range c.services {
		for _, there := range s.meant(a) {
			for _, p := range a.options {
				old, given := there.raw[p.name]
				options.add(there.Name+"/"+there.Type+"/"+p.name, "=", p.value, old, given)
			}
		}
		if strings.Contains(a.name, ":") && s.service(a.name, a.kind) == nil {
			key := a.name + "/" + a.kind
			services.add(key, "=", a.line, "", false)
			for _, p := range a.options {
				options.assign = append(options.assign, key+"/"+p.name+"="+p.value) // undone with the service
			}
		}
	}
	for _, e := range []edit{main, services, options} {
		if len(e.assign) > 0 {
			steps = append(steps, e.step())
		}
	}
	return steps
}

// edit gathers what one call of postconf sets, and how it was before.
type edit struct {
	set, remove        string // the options of postconf
	assign, back, gone []string
}

func (e *edit) add(key, equals, value, old string, given bool) {
	e.assign = append(e.assign, key+equals+value)
	if given {
		e.back = append(e.back, key+equals+old)
	} else {
		e.gone = append(e.gone, key)
	}
}

func (e *edit) step() Step {
	s := Step{Do: append([]string{e.set}, e.assign...)}
	if len(e.back) > 0 {
		s.Undo = append(s.Undo, append([]string{e.set}, e.back...))
	}
	if len(e.gone) > 0 {
		s.Undo = append(s.Undo, append([]string{e.remove}, e.gone...))
	}
	return s
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
				for _, undo := range done.Undo {
					_, undone := postconf(ctx, folder, undo...)
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
