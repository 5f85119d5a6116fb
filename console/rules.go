package console

import (
	"net/http"
	"strings"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/gateway"
)

// rulesView is the rules in use, and an explanation that was asked for.
type rulesView struct {
	Rules       []ruleView
	Inbound     []ruleView
	Question    api.Question
	Explanation *gateway.Explanation
	Problem     string
}

// ruleView is a rule with what it says otherwise than a rule that says nothing.
type ruleView struct {
	Name    string
	Line    int
	Options []config.Option
}

func showRules(v *visit) error { return v.rules(http.StatusOK, rulesView{}) }

func (v *visit) rules(status int, view rulesView) error {
	c, err := v.Operations.ShowConfiguration(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.Rules, view.Inbound = rulesOf(c.Body.Options, "rule["), rulesOf(c.Body.Options, "inbound_rule[")
	return v.show(status, "rules", "Rules", view)
}

// rulesOf collects the options of each rule that the file sets; of the built-in rule all.
func rulesOf(options []config.Option, prefix string) []ruleView {
	var list []ruleView
	last := ""
	for _, o := range options {
		rest, ok := strings.CutPrefix(o.Key, prefix)
		if !ok {
			continue
		}
		number, key, _ := strings.Cut(rest, "].")
		if number != last {
			list, last = append(list, ruleView{}), number
		}
		r := &list[len(list)-1]
		if key == "name" {
			r.Name, r.Line = strings.Trim(o.Value, `"`), o.Line
			continue
		}
		if o.Line > 0 || key == "sign" || key == "encrypt" || key == "on_result" {
			o.Key = key
			r.Options = append(r.Options, o)
		}
	}
	return list
}

func explain(v *visit) error {
	q := api.Question{
		From: strings.TrimSpace(v.r.PostFormValue("from")), Listener: v.r.PostFormValue("listener"), Client: strings.TrimSpace(v.r.PostFormValue("client")),
		User: v.r.PostFormValue("user"), Message: v.r.PostFormValue("message"),
	}
	q.To = strings.FieldsFunc(v.r.PostFormValue("to"), func(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' || r == ' ' })
	uploaded, err := v.upload("file")
	if err != nil {
		return err
	}
	if uploaded != "" {
		q.Message = uploaded
	}
	view := rulesView{Question: q}
	if len(q.To) == 0 || len(q.To) > 50 {
		view.Problem = translate(v.lang, "name one recipient at least, and 50 at most")
		return v.rules(http.StatusUnprocessableEntity, view)
	}
	found, err := v.Operations.Explain(v.r.Context(), &api.ExplainRequest{Body: q})
	if code, text, _, known := api.Status(err); err != nil {
		if !known || code != http.StatusUnprocessableEntity {
			return err
		}
		view.Problem = text
		return v.rules(code, view)
	}
	view.Explanation = &found.Body
	return v.rules(http.StatusOK, view)
}
