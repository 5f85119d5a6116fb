package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service/doctor"
	"github.com/smimerelay/smimerelay/smime/address"
)

type doctorCmd struct {
	Config  string        `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	Postfix string        `default:"/etc/postfix" placeholder:"FOLDER" help:"The folder of main.cf and master.cf; none leaves Postfix out."`
	Address string        `placeholder:"ADDRESS" help:"A recipient for whom to look in the directories (default: postmaster in the first local domain)."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"How long to wait for one answer."`
	All     bool          `help:"Also print what is fine."`
	JSON    bool          `name:"json" help:"Print the findings as JSON."`
}

// Help is shown below the summary.
func (doctorCmd) Help() string {
	return `Examines the gateway and what is around it: configuration, file modes and owners, clock, DNS, listeners, next hops, directories, the PostgreSQL of the store, queue, disk, and the settings of Postfix. It prints each finding with its remedy, and changes nothing. Run it as root: other users cannot read everything.

Exit status: 0 nothing worse than a note, 1 at least one error, 4 warnings only, 78 bad configuration.`
}

func (doctorCmd) examples() string {
	return `smimerelay doctor
		smimerelay doctor --address bob@example.net --json`
}

// exitWarned is the status of warnings without an error.
const exitWarned = 4

// doctorReport is what --json prints.
type doctorReport struct {
	Severity doctor.Severity  `json:"severity"` // the worst
	Findings []doctor.Finding `json:"findings"`
	Problems []checkProblem   `json:"problems"` // of the configuration
}

// Run prints the findings.
func (c *doctorCmd) Run(a *app) error {
	sample, err := c.sample()
	if err != nil {
		return err
	}
	built, _ := time.Parse(time.RFC3339, buildVersion().Date) // unknown in a build without it
	findings, problems := doctor.Examine(background(), doctor.Options{
		Config: c.Config, Postfix: c.folder(), Sample: sample, Timeout: c.Timeout, Built: built, Clock: a.clock,
		LookupHost: func(ctx context.Context, host string) ([]string, error) {
			return net.DefaultResolver.LookupHost(ctx, host)
		},
		Synchronized: doctor.Synchronized,
	})
	worst := doctor.OK
	for _, f := range findings {
		worst = severest(worst, f.Severity)
	}
	if len(problems) > 0 {
		worst = doctor.Error
	}
	if c.JSON {
		err = a.printJSON(doctorReport{worst, findings, jsonProblems(problems)})
	} else {
		err = c.print(a, findings, problems)
	}
	if err != nil {
		return err
	}
	return doctorStatus(worst, problems)
}

// doctorStatus is the exit status; the cause was printed.
func doctorStatus(worst doctor.Severity, problems config.Problems) error {
	switch {
	case len(problems) > 0:
		return &statusError{status: exitBadConfig}
	case worst == doctor.Error:
		return &statusError{status: exitNegative}
	case worst == doctor.Warning:
		return &statusError{status: exitWarned}
	}
	return nil
}

func severest(a, b doctor.Severity) doctor.Severity {
	order := []doctor.Severity{doctor.OK, doctor.Note, doctor.Warning, doctor.Error}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// sample is the address that was asked for.
func (c *doctorCmd) sample() (address.Address, error) {
	if c.Address == "" {
		return address.Null, nil
	}
	addr, err := address.Parse(c.Address)
	if err != nil {
		return addr, unusable(fmt.Errorf("--address: %w; write local@domain", err))
	}
	return addr, nil
}

// folder is that of Postfix, "" where there is none.
func (c *doctorCmd) folder() string {
	if c.Postfix == "none" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(c.Postfix, "main.cf")); errors.Is(err, fs.ErrNotExist) && c.Postfix == "/etc/postfix" {
		return ""
	}
	return c.Postfix
}

// print writes two lines for each finding: what is wrong where, and what to do.
func (c *doctorCmd) print(a *app, findings []doctor.Finding, problems config.Problems) error {
	p := a.page()
	count := map[doctor.Severity]int{}
	for _, problem := range problems {
		remedy := problem.Remedy
		problem.Remedy = ""
		p.line("%-7s  %s", doctor.Error, problem)
		p.lineIf(remedy != "", "         "+remedy)
	}
	for _, f := range findings {
		count[f.Severity]++
		if f.Severity == doctor.OK && !c.All {
			continue
		}
		where := f.Where
		if where != "" {
			where += ": "
		}
		p.line("%-7s  %s: %s%s", f.Severity, f.Check, where, f.Text)
		p.lineIf(f.Remedy != "", "         "+f.Remedy)
	}
	p.line("%d errors, %d warnings, %d notes, %d checks passed", count[doctor.Error]+len(problems), count[doctor.Warning], count[doctor.Note], count[doctor.OK])
	return p.err
}
