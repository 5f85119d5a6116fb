package main

import (
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// versionInfo is what --json prints.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints which build this is.
func (c *versionCmd) Run(a *app) error {
	v := buildVersion()
	if c.JSON {
		return a.printJSON(v)
	}
	p := a.page()
	p.line("smimerelay %s %s %s %s", v.Version, v.Revision, v.Go, v.Platform)
	return p.err
}

// buildVersion reads what the toolchain wrote into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Revision: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
