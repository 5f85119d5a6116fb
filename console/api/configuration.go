package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
)

// Configuration is the one in use.
type Configuration struct {
	File    string          `json:"file"`
	Options []config.Option `json:"options"`
}

// ShowConfiguration shows each option with its value in use, its default, and its line in the
// file. It shows no file that an option names.
func (o *Operations) ShowConfiguration(_ context.Context, _ *Empty) (*Body[Configuration], error) {
	p, release := o.Gateway.Use()
	defer release()
	return body(Configuration{p.Config.File(), p.Config.Options()}), nil
}

// ConfigurationText is a configuration file.
type ConfigurationText struct {
	Body struct {
		Text string `json:"text" maxLength:"1000000" doc:"The text of the file."`
	}
}

// Problem is something in a configuration file.
type Problem struct {
	Line   int    `json:"line,omitempty"`
	Key    string `json:"key,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Checked is what a check found.
type Checked struct {
	OK       bool      `json:"ok"`
	Problems []Problem `json:"problems"`
	Warnings []Problem `json:"warnings" doc:"What is allowed and probably not meant."`
}

// CheckConfiguration checks a configuration file by its text alone: no file that it names is
// opened and nothing is run or connected to, which smimerelay check does on the host. It is
// not applied. The audit log has the digest of the text: who checks is recorded because an
// answer tells about rules and options that are not in use.
func (o *Operations) CheckConfiguration(ctx context.Context, in *ConfigurationText) (*Body[Checked], error) {
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	entry := access.Entry{Action: "configuration.check", Object: digestOf(in.Body.Text), After: map[string]any{"octets": len(in.Body.Text)}}
	var problems, warnings config.Problems
	err = o.audited(ctx, entry, func() error {
		problems, warnings = o.Gateway.Check([]byte(in.Body.Text))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return body(Checked{len(problems) == 0, list(problems), list(warnings)}), nil
}

// digestOf names a text that was sent, for those who have it as well.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func list(ps config.Problems) []Problem {
	out := []Problem{}
	for _, p := range ps {
		out = append(out, Problem{p.Line, p.Key, p.Text, p.Remedy})
	}
	return out
}

// ReloadConfiguration applies the configuration file of the gateway, all of it or nothing.
func (o *Operations) ReloadConfiguration(ctx context.Context, _ *Empty) (*Empty, error) {
	p, release := o.Gateway.Use()
	file := p.Config.File()
	release()
	return nil, o.audited(ctx, access.Entry{Action: "configuration.reload", Object: file}, func() error { return o.Gateway.Reload(ctx) })
}
