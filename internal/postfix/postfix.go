// Package postfix reads and changes the configuration of a Postfix on this machine. It
// asks postconf(1), which knows all defaults, and reads no main.cf itself.
package postfix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// ErrNone means that there is no postconf on this machine.
var ErrNone = errors.New("postconf is not installed")

// Settings are what Postfix would do: main.cf with all defaults, and master.cf.
type Settings struct {
	// Folder is that of main.cf and master.cf.
	Folder string
	// Services are those of master.cf, in its order.
	Services []Service
	main     map[string]string
	explicit map[string]string // what main.cf says, as it stands there
}

// Service is one line of master.cf.
type Service struct {
	// Name and Type are the first two columns: "127.0.0.1:10027", "inet".
	Name, Type string
	// Chrooted says that it runs in a chroot in queue_directory.
	Chrooted bool
	// Command is the program, such as "smtpd".
	Command string
	// Options are its parameters (-o), by name.
	Options map[string]string
	raw     map[string]string // the same as they stand in master.cf
}

// Read returns the settings below a folder. Its error is ErrNone where Postfix is not
// installed.
func Read(ctx context.Context, folder string) (*Settings, error) {
	s := &Settings{Folder: folder, main: map[string]string{}, explicit: map[string]string{}}
	for _, part := range []struct {
		args []string
		read func(lines []string)
	}{
		{[]string{"-x"}, s.readMain},
		{[]string{"-n"}, s.readExplicit},
		{[]string{"-Mf"}, s.readServices},
		{[]string{"-xP"}, func(lines []string) {
			s.readOptions(lines, func(of *Service) map[string]string { return of.Options })
		}},
		{[]string{"-P"}, func(lines []string) { s.readOptions(lines, func(of *Service) map[string]string { return of.raw }) }},
	} {
		out, err := postconf(ctx, folder, part.args...)
		if err != nil {
			return nil, err
		}
		part.read(strings.Split(out, "\n"))
	}
	return s, nil
}

// postconf runs postconf on a folder and returns what it prints. Warnings, such as of
// parameters that are not used, are no errors.
func postconf(ctx context.Context, folder string, args ...string) (string, error) {
	path, err := exec.LookPath("postconf")
	if err != nil {
		return "", ErrNone
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", folder}, args...)...) //nolint:gosec // G204: the folder is the administrator's
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("postconf: %w: %s", err, text)
	}
	return stdout.String(), nil
}

// assignment splits "name = value".
func assignment(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, "=")
	return strings.TrimSpace(name), strings.TrimSpace(value), ok
}

func (s *Settings) readMain(lines []string) {
	for _, line := range lines {
		if name, value, ok := assignment(line); ok {
			s.main[name] = value
		}
	}
}

func (s *Settings) readExplicit(lines []string) {
	for _, line := range lines {
		if name, value, ok := assignment(line); ok && name != "config_directory" { // our -c
			s.explicit[name] = value
		}
	}
}

func (s *Settings) readServices(lines []string) {
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 8 || line[0] == ' ' {
			continue // the parameters, which readOptions has
		}
		chrooted := f[4] == "y" || f[4] == "-" && !s.modern()
		s.Services = append(s.Services, Service{Name: f[0], Type: f[1], Chrooted: chrooted, Command: f[7], Options: map[string]string{}, raw: map[string]string{}})
	}
}

// modern reports whether a chroot column of "-" means no: since compatibility level 1.
func (s *Settings) modern() bool {
	major, _, _ := strings.Cut(s.main["compatibility_level"], ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 1
}

// readOptions reads "name/type/parameter = value".
func (s *Settings) readOptions(lines []string, into func(*Service) map[string]string) {
	for _, line := range lines {
		key, value, ok := assignment(line)
		if !ok {
			continue
		}
		parameter := strings.LastIndexByte(key, '/')
		kind := strings.LastIndexByte(key[:max(parameter, 0)], '/')
		if kind < 0 {
			continue
		}
		if at := s.service(key[:kind], key[kind+1:parameter]); at != nil {
			into(at)[key[parameter+1:]] = value
		}
	}
}

// service returns a service of master.cf; nil where there is none.
func (s *Settings) service(name, kind string) *Service {
	for i := range s.Services {
		if s.Services[i].Name == name && s.Services[i].Type == kind {
			return &s.Services[i]
		}
	}
	return nil
}

// Main returns a parameter of main.cf, or its default.
func (s *Settings) Main(name string) string { return s.main[name] }

// Of returns a parameter as it is for a service: its own, or that of main.cf.
func (s *Settings) Of(service *Service, name string) string {
	if value, ok := service.Options[name]; ok {
		return value
	}
	return s.main[name]
}
