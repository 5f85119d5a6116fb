package enforce

// contents lists rules, in their order, under what the content must say.
type contents struct {
	all       []int // whatever they are listed under
	subjects  literals
	bySubject []int // all of subjects
	fields    map[string]*fieldRules
}

// fieldRules are the rules that are listed under one field of the header.
type fieldRules struct {
	all     []int
	present []int            // may match any value
	values  map[string][]int // by foldKey of the whole value
	within  literals         // by foldKey of a part of it
}

func newContents() contents {
	return contents{subjects: make(literals), fields: make(map[string]*fieldRules)}
}

// add lists a rule, if it has a condition for that; it reports whether it has.
func (x *contents) add(i int, r *rule) bool {
	switch {
	case len(r.subjects) > 0:
		for _, s := range r.subjects {
			x.subjects.add(s, i)
		}
		x.bySubject = append(x.bySubject, i)
	case len(r.fields) > 0:
		for _, c := range r.fields {
			x.field(c.name).add(i, c)
		}
	default:
		return false
	}
	x.all = append(x.all, i)
	return true
}

func (x *contents) field(name string) *fieldRules {
	if x.fields[name] == nil {
		x.fields[name] = &fieldRules{values: make(map[string][]int), within: make(literals)}
	}
	return x.fields[name]
}

func (f *fieldRules) add(i int, c fieldCondition) {
	f.all = append(f.all, i)
	switch text := required(c.value); {
	case c.op == fieldIs:
		key := foldKey(c.value)
		f.values[key] = append(f.values[key], i)
	case c.op == fieldMatches && text != "":
		f.within.add(text, i)
	default:
		f.present = append(f.present, i)
	}
}

// lists appends the lists of rules that may match the content. A field of which a value
// cannot be read may say anything; without late, so may the whole content.
func (x *contents) lists(to [][]int, v *view, late bool) [][]int {
	if len(x.all) == 0 {
		return to
	}
	if !late {
		return append(to, x.all)
	}
	content := &v.facts.Content
	if content.Unread["subject"] {
		to = appendList(to, x.bySubject)
	} else {
		for _, s := range v.subjects() {
			to = x.subjects.within(to, s)
		}
	}
	if len(x.fields) == 0 {
		return to
	}
	for name, unread := range content.Unread {
		if f := x.fields[name]; unread && f != nil {
			to = appendList(to, f.all)
		}
	}
	for name, values := range content.Header {
		if f := x.fields[name]; f != nil && !content.Unread[name] {
			to = f.lists(to, values)
		}
	}
	return to
}

func (f *fieldRules) lists(to [][]int, values []string) [][]int {
	if len(values) > 0 {
		to = appendList(to, f.present)
	}
	for _, value := range values {
		key := foldKey(value)
		to = appendList(to, f.values[key])
		to = f.within.within(to, key)
	}
	return to
}
