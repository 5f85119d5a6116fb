package service

import (
	"reflect"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
)

// TestEveryOptionOfARuleArrives sets every field of a rule to something and
// wants every field of what the policy gets to be something, so that no
// condition can be lost on the way: a lost one would make a rule match more
// than was written.
func TestEveryOptionOfARuleArrives(t *testing.T) {
	var r config.Rule
	fill(reflect.ValueOf(&r).Elem())
	c := &config.Config{Rules: []config.Rule{r}}
	got := reflect.ValueOf(enforceRules(c)[0])
	for f, v := range got.Fields() {
		if v.IsZero() {
			t.Errorf("%s does not arrive", f.Name)
		}
	}
	if a, b := reflect.TypeFor[config.Rule]().NumField(), reflect.TypeFor[enforce.Rule]().NumField(); a != b {
		t.Errorf("the file has %d options of a rule, the policy %d", a, b)
	}
}

// TestEveryOptionOfAnInboundRuleArrives is the same for inbound rules.
func TestEveryOptionOfAnInboundRuleArrives(t *testing.T) {
	var r config.InboundRule
	fill(reflect.ValueOf(&r).Elem())
	got := reflect.ValueOf(inboundRules(&config.Config{InboundRules: []config.InboundRule{r}})[0])
	for f, v := range got.Fields() {
		if v.IsZero() {
			t.Errorf("%s does not arrive", f.Name)
		}
	}
	if a, b := reflect.TypeFor[config.InboundRule]().NumField(), reflect.TypeFor[enforce.InboundRule]().NumField(); a != b {
		t.Errorf("the file has %d options of an inbound rule, the policy %d", a, b)
	}
}

// fill sets every field to a value that is not its zero.
func fill(v reflect.Value) {
	for f, fv := range v.Fields() {
		switch fv.Kind() {
		case reflect.String:
			fv.SetString(f.Name)
		case reflect.Bool:
			fv.SetBool(true)
		case reflect.Int, reflect.Int64:
			fv.SetInt(7)
		case reflect.Slice:
			fv.Set(reflect.ValueOf([]string{f.Name}))
		}
	}
}

// TestAllIsNoCondition: the default of a condition must not become one, or a
// rule would match less than was written.
func TestAllIsNoCondition(t *testing.T) {
	rules := enforceRules(config.Default())
	got := reflect.ValueOf(rules[0])
	for f, v := range got.Fields() {
		if v.Kind() == reflect.Slice && !v.IsNil() {
			t.Errorf("%s of the built-in rule is %v", f.Name, v.Interface())
		}
	}
	if _, err := enforce.Compile(rules); err != nil {
		t.Error(err)
	}
}
