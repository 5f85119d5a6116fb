package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/gateway"
)

// rulesView is the rules in use, and an explanation that was asked for.
type rulesView struct {
	Rules       []ruleView
	Inbound     []ruleView
	Question    api.Question
	Message     string
	Explanation *gateway.Explanation
	Problem     string
	Counted     bool // whether there is a history that counts what rules decided
	Replay      replayView
}

// replayView is what other rules would have done.
type replayView struct {
	Text    string
	Days    int
	Result  *history.Replay
	Problem string
	Details []string
}

// ruleView is a rule with what it says otherwise than a rule that says nothing.
type ruleView struct {
	Name    string
	Line    int
	Options []config.Option
	Hits    int64 // recipients in the last hitDays days
}

// ruleList is rules, and whether their hits are counted.
type ruleList struct {
	List    []ruleView
	Counted bool
}

// hitDays is for how long the page counts what rules decided.
const hitDays = 7

func showRules(v *visit) error { return v.rules(http.StatusOK, rulesView{}) }

func (v *visit) rules(status int, view rulesView) error {
	c, err := v.Operations.ShowConfiguration(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.Rules, view.Inbound = rulesOf(c.Body.Options, "rule["), rulesOf(c.Body.Options, "inbound_rule[")
	if view.Replay.Days == 0 {
		view.Replay.Days = 30
	}
	if err := v.countHits(&view); err != nil {
		return err
	}
	return v.show(status, "rules", "Rules", view)
}

// countHits adds how many recipients each rule decided on, where there is a history.
func (v *visit) countHits(view *rulesView) error {
	totals, err := v.Operations.ShowTotals(v.r.Context(), &api.TotalsQuery{Hours: hitDays * 24})
	if code, _, _, known := api.Status(err); err != nil {
		if known && code == http.StatusNotFound {
			return nil
		}
		return err
	}
	type rule struct{ direction, name string }
	hits := map[rule]int64{}
	for _, h := range totals.Body.Hours {
		for _, c := range h.Counts {
			if c.Kind == history.CountRule {
				hits[rule{c.Direction, c.Word}] += c.Number
			}
		}
	}
	view.Counted = true
	for i := range view.Rules {
		view.Rules[i].Hits = hits[rule{"outbound", view.Rules[i].Name}]
	}
	for i := range view.Inbound {
		view.Inbound[i].Hits = hits[rule{"inbound", view.Inbound[i].Name}]
	}
	return nil
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
		r.Line = o.Table
		if key == "name" {
			r.Name = strings.Trim(o.Value, `"`)
			continue
		}
		if o.Line > 0 || key == "sign" || key == "encrypt" || key == "on_result" {
			o.Key = key
			r.Options = append(r.Options, o)
		}
	}
	return list
}

// explain is about a plain message: one that is sent along counts for nothing.
func explain(v *visit) error {
	return v.explain("", func(q api.Question) (*api.Body[gateway.Explanation], error) {
		return v.Operations.Explain(v.r.Context(), &api.ExplainRequest{Body: q})
	})
}

// explainMessage is about a message that was pasted or uploaded, or a plain one without.
func explainMessage(v *visit) error {
	message, err := v.upload()
	if err != nil {
		return err
	}
	if message == "" {
		message = v.r.PostFormValue("message")
	}
	if message == "" {
		return explain(v)
	}
	return v.explain(message, func(q api.Question) (*api.Body[gateway.Explanation], error) {
		return v.Operations.ExplainMessage(v.r.Context(), &api.ExplainMessageRequest{Body: api.QuestionWithMessage{Question: q, Message: message}})
	})
}

// errRecipients is what a question lacks.
const errRecipients = "name one recipient at least, and 50 at most"

// explain reads who sends to whom, and shows the answer.
func (v *visit) explain(message string, ask func(api.Question) (*api.Body[gateway.Explanation], error)) error {
	q := api.Question{
		From: strings.TrimSpace(v.r.PostFormValue("from")), Listener: v.r.PostFormValue("listener"), Client: strings.TrimSpace(v.r.PostFormValue("client")),
		User: v.r.PostFormValue("user"),
	}
	q.To = strings.FieldsFunc(v.r.PostFormValue("to"), func(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' || r == ' ' })
	view := rulesView{Question: q, Message: message}
	if len(q.To) == 0 || len(q.To) > 50 {
		view.Problem = errRecipients
		return v.rules(http.StatusUnprocessableEntity, view)
	}
	found, err := ask(q)
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

// replay tries the rules of a file on what came.
func replay(v *visit) error {
	view := replayView{Text: v.r.PostFormValue("text")}
	uploaded, err := v.upload()
	if err != nil {
		return err
	}
	if uploaded != "" {
		view.Text = uploaded
	}
	if view.Days, err = strconv.Atoi(v.r.PostFormValue("days")); err != nil || view.Days < 1 || view.Days > 366 {
		return errBadForm
	}
	in := &api.ReplayRequest{}
	in.Body.Text, in.Body.Days, in.Body.Limit = view.Text, view.Days, maxDifferences
	found, err := v.Operations.ReplayPolicy(v.r.Context(), in)
	code, text, details, known := api.Status(err)
	switch {
	case err == nil:
		view.Result = &found.Body
		return v.rules(http.StatusOK, rulesView{Replay: view})
	case !known || code >= http.StatusInternalServerError:
		return err
	}
	view.Problem, view.Details = text, details
	return v.rules(code, rulesView{Replay: view})
}

// maxDifferences is how many the page shows.
const maxDifferences = 100
