package backup

import (
	"context"
	"io"
)

// interruptible returns a reader of r that fails when ctx ends, also while r has nothing to
// read. The goroutine ends when the reader is closed, but for a read that it waits for.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	return out
}

// An interruptibleWriter fails when its context has ended.
type interruptibleWriter struct {
	ctx context.Context //nolint:containedctx // it lives for one call
	w   io.Writer
}

func (i interruptibleWriter) Write(p []byte) (int, error) {
	if err := context.Cause(i.ctx); err != nil {
		return 0, err
	}
	return i.w.Write(p)
}
