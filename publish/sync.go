package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs/store"
)

// Ledger notes which values were written to a target outside, so that those of others are
// never removed.
type Ledger interface {
	// Published returns what is noted of a target, by object.
	Published(ctx context.Context, target string) (map[string]store.Written, error)
	// NotePublished notes values that an object has from us, and that those in gone are not
	// there any more.
	NotePublished(ctx context.Context, target, object string, w store.Written, gone [][]byte) error
}

var _ Ledger = (*store.Store)(nil)

// Target is a place outside that has objects with values, some from us and some of others.
type Target interface {
	// Objects are those that may be wanted to have values from us.
	Objects() []string
	// Wanted returns the values that an object shall have from us; noted are those that it
	// has, or may have, from us.
	Wanted(ctx context.Context, object string, noted [][]byte) ([][]byte, error)
	// Write makes a change, and returns the values that the object has from us then.
	Write(ctx context.Context, c Change) (ours [][]byte, err error)
}

// Change is what is to be done to the values of an object.
type Change struct {
	Object string
	// Remove are values written earlier that are no longer wanted; Wanted are those that
	// shall be there, whether or not they are.
	Remove, Wanted [][]byte
}

// Sync brings a target to what is wanted, by object: it writes every object whose values are
// not noted as they are wanted, and returns how many changed. What is written is noted before,
// so that after a crash in between no own value is taken for one of others. Errors do not keep
// other objects from being written; they are a Failures. Objects for which later returns true are
// left as they are; nil leaves none.
func Sync(ctx context.Context, ledger Ledger, name string, target Target, later func(object string) bool) (changed int, err error) {
	noted, err := ledger.Published(ctx, name)
	if err != nil {
		return 0, err
	}
	objects := map[string]bool{}
	for object := range noted {
		objects[object] = true
	}
	for _, object := range target.Objects() {
		objects[object] = true
	}
	var failures Failures
	failed := 0 // in a row
	for _, object := range inTurn(objects) {
		if later != nil && later(object) {
			continue
		}
		did, err := syncOne(ctx, ledger, name, target, object, noted[object])
		if err != nil {
			failures = append(failures, failure{object, err})
			if !ofObject(err) {
				failed++
			}
			if failed == maxFailures || ctx.Err() != nil {
				break
			}
			continue
		}
		if did {
			failed = 0
			changed++
		}
	}
	if len(failures) > 0 {
		return changed, failures
	}
	return changed, nil
}

// syncOne brings one object to what is wanted, and reports whether its values changed.
func syncOne(ctx context.Context, ledger Ledger, name string, target Target, object string, noted store.Written) (changed bool, err error) {
	wanted, err := target.Wanted(ctx, object, noted.Values)
	if err != nil {
		return false, err
	}
	c := Change{Object: object, Remove: Without(noted.Values, wanted), Wanted: wanted}
	missing := Without(wanted, noted.Values)
	if (noted.Done || len(noted.Values) == 0) && len(c.Remove) == 0 && len(missing) == 0 {
		return false, nil
	}
	intended := slices.Concat(noted.Values, missing)
	if err := ledger.NotePublished(ctx, name, object, store.Written{Values: intended}, nil); err != nil {
		return false, err
	}
	ours, err := target.Write(ctx, c)
	if err != nil {
		return false, err
	}
	err = ledger.NotePublished(ctx, name, object, store.Written{Values: ours, Done: true}, Without(intended, ours))
	return len(noted.Values) > 0 || len(ours) > 0, err
}

// inTurn returns the objects from any one on, so that those that fail each time do not keep the
// others from their turn.
func inTurn(objects map[string]bool) []string {
	list := slices.Sorted(maps.Keys(objects))
	if len(list) == 0 {
		return nil
	}
	first := rand.IntN(len(list)) //nolint:gosec // G404: it guards nothing
	return slices.Concat(list[first:], list[:first])
}

// maxFailures is after how many failures in a row the rest waits for the next time: then it is
// the target that fails.
const maxFailures = 5

// ObjectError is the answer of a target that refuses one object: it works, and others may be
// written.
type ObjectError struct{ Err error }

// Error returns the text of Err.
func (e *ObjectError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ObjectError) Unwrap() error { return e.Err }

func ofObject(err error) bool {
	_, ok := errors.AsType[*ObjectError](err)
	return ok
}

// failure is why an object could not be written.
type failure struct {
	Object string
	Err    error
}

// Failures are those of one Sync.
type Failures []failure

// Error names each cause once, with the first of its objects.
func (f Failures) Error() string {
	var texts []string
	for _, cause := range f.Causes() {
		same := slices.DeleteFunc(slices.Clone(f), func(x failure) bool { return x.Err.Error() != cause })
		text := same[0].Object
		if n := len(same) - 1; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		texts = append(texts, text+": "+cause)
	}
	return strings.Join(texts, "; ")
}

// Causes are the texts of the errors without the objects, each once and in order: whichever
// objects had their turn, they are the same for the same fault.
func (f Failures) Causes() []string {
	var causes []string
	for _, x := range f {
		causes = append(causes, x.Err.Error())
	}
	slices.Sort(causes)
	return slices.Compact(causes)
}

// Refused are the objects that the target refuses.
func (f Failures) Refused() (objects []string) {
	for _, x := range f {
		if ofObject(x.Err) {
			objects = append(objects, x.Object)
		}
	}
	return objects
}

// OfObjects reports whether all of them are of objects that the target refuses.
func (f Failures) OfObjects() bool {
	return !slices.ContainsFunc(f, func(x failure) bool { return !ofObject(x.Err) })
}

// Unwrap returns the errors.
func (f Failures) Unwrap() []error {
	var errs []error
	for _, x := range f {
		errs = append(errs, x.Err)
	}
	return errs
}

// Without returns the values of a that are not in b.
func Without(a, b [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(a), func(v []byte) bool { return contains(b, v) })
}

func contains(list [][]byte, value []byte) bool {
	return slices.ContainsFunc(list, func(v []byte) bool { return bytes.Equal(v, value) })
}
