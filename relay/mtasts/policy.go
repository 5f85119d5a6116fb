// Package mtasts finds the MTA-STS policy of a mail domain (RFC 8461): what its mail
// exchangers must prove by TLS, and which hosts are ones.
package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is what a policy asks for (RFC 8461 section 5).
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	Testing Mode = "testing"
	None    Mode = "none"
)

// Policy is that of a domain.
type Policy struct {
	Mode Mode `json:"mode"`
	// MX are names of mail exchangers, or "*." and what follows one label.
	MX []string `json:"mx"`
	// MaxAge is how long it counts after it was fetched.
	MaxAge time.Duration `json:"max_age"`
}

// maxMaxAge is the longest time for which a policy counts (RFC 8461 section 3.2).
const maxMaxAge = 31557600 * time.Second

// parsePolicy reads the file of a policy (RFC 8461 section 3.2). Of a field that is there
// twice the first counts, and fields that are not known are ignored.
func parsePolicy(text string) (Policy, error) {
	var p Policy
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key != "mx" && seen[key] {
			continue
		}
		seen[key] = true
		switch key {
		case "version":
			if value != "STSv1" {
				return p, fmt.Errorf("version %q is not STSv1", value)
			}
		case "mode":
			p.Mode = Mode(value)
		case "mx":
			p.MX = append(p.MX, strings.ToLower(value))
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return p, fmt.Errorf("max_age %q is not a number of seconds", value)
			}
			p.MaxAge = min(time.Duration(n)*time.Second, maxMaxAge)
		}
	}
	switch {
	case !seen["version"] || !seen["max_age"]:
		return p, errors.New("version or max_age is missing")
	case p.Mode != Enforce && p.Mode != Testing && p.Mode != None:
		return p, fmt.Errorf("mode %q is not known", p.Mode)
	case p.Mode != None && len(p.MX) == 0:
		return p, errors.New("no mx")
	}
	return p, nil
}

// Matches reports whether the policy names a mail exchanger (RFC 8461 section 4.1).
func (p *Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range p.MX {
		if rest, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, parent, ok := strings.Cut(host, "."); ok && parent == rest {
				return true
			}
		} else if pattern == host {
			return true
		}
	}
	return false
}

// recordID reads the TXT records of a domain (RFC 8461 section 3.1). There is no policy
// unless exactly one of them is of its form.
func recordID(records []string) (id string, ok bool) {
	for _, r := range records {
		version, rest, _ := strings.Cut(r, ";")
		if strings.TrimSpace(version) != "v=STSv1" {
			continue
		}
		if ok {
			return "", false
		}
		ok = true
		for field := range strings.SplitSeq(rest, ";") {
			if key, value, _ := strings.Cut(strings.TrimSpace(field), "="); strings.TrimSpace(key) == "id" && id == "" {
				id = strings.TrimSpace(value)
			}
		}
	}
	if !isID(id) {
		return "", false
	}
	return id, ok
}

func isID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
