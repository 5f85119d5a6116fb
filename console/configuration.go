package console

import (
	"net/http"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/config"
)

// configurationView is the configuration in use, and what a check found.
type configurationView struct {
	File    string
	Options []config.Option
	All     bool
	Text    string
	Checked *api.Checked
}

func showConfiguration(v *visit) error { return v.configuration(configurationView{}) }

func (v *visit) configuration(view configurationView) error {
	c, err := v.Operations.ShowConfiguration(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.File, view.All = c.Body.File, v.r.URL.Query().Get("all") != ""
	for _, o := range c.Body.Options {
		if view.All || o.Line > 0 {
			view.Options = append(view.Options, o)
		}
	}
	return v.show(http.StatusOK, "configuration", "Configuration", view)
}

func checkConfiguration(v *visit) error {
	in := api.ConfigurationText{}
	in.Body.Text = v.r.PostFormValue("text")
	uploaded, err := v.upload()
	if err != nil {
		return err
	}
	if uploaded != "" {
		in.Body.Text = uploaded
	}
	found, err := v.Operations.CheckConfiguration(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.configuration(configurationView{Text: in.Body.Text, Checked: &found.Body})
}

func reloadConfiguration(v *visit) error {
	if _, err := v.Operations.ReloadConfiguration(v.r.Context(), &api.Empty{}); err != nil {
		return err
	}
	return v.redirect("/configuration?done=reloaded")
}
