package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// deliveryTime bounds how long a message may take through queue and gateway.
const deliveryTime = 15 * time.Second

// play runs scenes against the gateway.
type play struct {
	world   *world
	sink    *sink
	gateway *gateway
}

// perform sends the message of a scene and judges what became of it.
func (p *play) perform(ctx context.Context, s scene) []result {
	raw, err := s.compose(p.world)
	if err != nil {
		return s.failed("composing it failed: " + err.Error())
	}
	rules, port := map[string]string{}, p.world.ports.inbound
	if !s.inbound {
		rules, port = p.gateway.rules(ctx, s.from, s.to), p.world.ports.outbound
	}
	p.sink.begin(s.number)
	answer, err := send(port, s.from, s.to, raw)
	if err != nil {
		return s.failed("sending it failed: " + err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, deliveryTime)
	defer cancel()
	out := outcome{world: p.world, scene: s, answer: answer, arrived: p.sink.wait(ctx, s.number, s.deliveries)}

	results := make([]result, 0, len(s.to))
	for _, to := range s.to {
		r := s.result(to)
		r.rule = rules[to]
		r.outcome, r.checked, err = s.expect[to](out, to)
		if err != nil {
			r.outcome, r.checked = out.describe(to), err.Error()
		}
		if extra := len(out.arrived) - s.deliveries; extra > 0 {
			err = fmt.Errorf("%d messages more than expected", extra)
			r.checked = err.Error()
		}
		r.expected = err == nil
		results = append(results, r)
	}
	return results
}

func (s scene) result(to string) result {
	return result{message: s.number + " " + s.title, sender: s.from, recipient: to}
}

func (s scene) failed(why string) []result {
	r := s.result(strings.Join(s.to, ", "))
	r.outcome = why
	return []result{r}
}
