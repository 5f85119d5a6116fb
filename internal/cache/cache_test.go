package cache

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestLeastRecentlyUsedLeavesFirst(t *testing.T) {
	c := New[int, string](2, nil)
	c.Put(1, "one")
	c.Put(2, "two")
	c.Get(1)
	c.Put(3, "three")
	if _, ok := c.Get(2); ok || c.Len() != 2 {
		t.Errorf("2 is kept, %d values", c.Len())
	}
	if v, ok := c.Get(1); v != "one" || !ok {
		t.Errorf("1 is %q", v)
	}
	c.Put(3, "III")
	c.Put(4, "four")
	if v, _ := c.Get(3); v != "III" {
		t.Errorf("3 is %q: setting a value does not count as its use", v)
	}
	if _, ok := c.Get(1); ok {
		t.Error("1 is kept")
	}
}

func TestSizes(t *testing.T) {
	c := New[string, string](10, func(s string) int { return len(s) })
	c.Put("a", "1234")
	c.Put("b", "1234")
	c.Put("large", "12345678901")
	if c.Len() != 2 {
		t.Fatal("a value larger than the cache emptied it")
	}
	c.Put("a", "123456") // just fits beside b
	if c.Len() != 2 || c.used != 10 {
		t.Errorf("%d values of size %d", c.Len(), c.used)
	}
	c.Put("c", "12345678")
	if _, ok := c.Get("c"); !ok || c.Len() != 1 || c.used != 8 {
		t.Errorf("%d values of size %d", c.Len(), c.used)
	}
	c.Put("c", "12345678901") // the old value is no longer true
	if c.Len() != 0 || c.used != 0 {
		t.Errorf("%d values of size %d", c.Len(), c.used)
	}
	for _, limit := range []int{0, -1} {
		c := New[int, int](limit, nil)
		if c.Put(1, 1); c.Len() != 0 {
			t.Errorf("limit %d: a value is kept", limit)
		}
	}
}

func TestChange(t *testing.T) {
	c := New[string, int](2, nil)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { c.Change("a", func(n int, _ bool) (int, bool) { return n + 1, true }) })
	}
	wg.Wait()
	if n, _ := c.Get("a"); n != 100 {
		t.Errorf("%d of 100 changes", n)
	}
	c.Change("a", func(_ int, ok bool) (int, bool) { return 7, !ok })
	if n, _ := c.Get("a"); n != 100 {
		t.Error("changed against f")
	}
	c.Change("b", func(_ int, ok bool) (int, bool) { return 7, !ok })
	if n, _ := c.Get("b"); n != 7 {
		t.Error("not set")
	}
	c.Clear()
	if _, ok := c.Get("a"); ok || c.Len() != 0 || c.used != 0 || c.order.Len() != 0 {
		t.Error("not cleared")
	}
}

func TestTimed(t *testing.T) {
	now := time.Unix(1000, 0)
	e := Timed[int]{Expires: now, Generation: 3}
	if !e.Current(now.Add(-1), 3) || e.Current(now, 3) || e.Current(now.Add(-1), 4) {
		t.Error("current at the wrong time or in the wrong generation")
	}
}

func TestEach(t *testing.T) {
	c := New[int, string](3, nil)
	c.Put(1, "one")
	c.Put(2, "two")
	c.Get(1)
	var got []string
	c.Each(func(_ int, v string) { got = append(got, v) })
	if !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
}
