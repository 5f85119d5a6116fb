package api

import (
	"context"

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

// CheckConfiguration checks a configuration file as smimerelay check does. It is not applied.
func (o *Operations) CheckConfiguration(ctx context.Context, in *ConfigurationText) (*Body[Checked], error) {
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	problems, warnings, err := o.Gateway.Check(ctx, []byte(in.Body.Text))
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(Checked{len(problems) == 0, list(problems), list(warnings)}), nil
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
