package main

import (
	"crypto/fips140"
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
	Date     string `json:"date"` // of the revision, RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Tags     string `json:"tags"` // of the build, such as pkcs11
	FIPS     bool   `json:"fips"` // the mode of FIPS 140-3 is on
}

// Run prints which build this is.
func (c *versionCmd) Run(a *app) error {
	v := buildVersion()
	if c.JSON {
		return a.printJSON(v)
	}
	p := a.page()
	p.line("smimerelay %s %s %s %s %s", v.Version, v.Revision, v.Date, v.Go, v.Platform)
	p.lineIf(v.Tags != "", "build tags: "+v.Tags)
	p.lineIf(v.FIPS, "FIPS 140-3 mode: on")
	return p.err
}

// buildVersion reads what the toolchain wrote into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Revision: "unknown", Date: "unknown", FIPS: fips140.Enabled(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "-tags":
			v.Tags = s.Value
		}
	}
	return v
}
