package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// enqueue is a program that puts a message into a queue, as a gateway would that
// ends before it delivers anything: enqueue queue.db mail.eml sender recipient...
func enqueue() {
	inQueue(func(q *queue.Queue, env relay.Envelope, m *message.Message) error {
		return q.Put(context.Background(), relay.Batch{Copies: []relay.Delivery{{Sender: env.Sender, Recipients: env.Recipients, Message: m}}})
	})
}

// hold is enqueue for a message that is held.
func hold() {
	inQueue(func(q *queue.Queue, env relay.Envelope, m *message.Message) error {
		h := relay.Hold{Envelope: env, Message: m, Since: time.Now(), Until: time.Now().Add(time.Hour)}
		for range env.Recipients {
			h.Reasons = append(h.Reasons, "none found")
		}
		return q.Put(context.Background(), relay.Batch{Held: &h})
	})
}

func inQueue(do func(*queue.Queue, relay.Envelope, *message.Message) error) {
	if err := changeQueue(os.Args[1:], do); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func changeQueue(args []string, do func(*queue.Queue, relay.Envelope, *message.Message) error) error {
	if len(args) < 4 {
		return errors.New("usage: queue file sender recipient")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	m, err := message.Parse(message.Canonical(text))
	if err != nil {
		return err
	}
	env := relay.Envelope{ID: "id", Listener: "out"}
	for i, arg := range args[2:] {
		a, err := address.Parse(arg)
		if err != nil {
			return err
		}
		if i == 0 {
			env.Sender = a
		} else {
			env.Recipients = append(env.Recipients, relay.Recipient{Address: a})
		}
	}
	ctx := context.Background()
	q, err := queue.Open(ctx, queue.Config{Place: queue.Place{Path: args[0]}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return errors.Join(do(q, env, m), q.Stop(ctx))
}
