package message

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	name := func(s ...string) (names []Name) {
		for _, s := range s {
			names = append(names, Name{Text: s})
		}
		return names
	}
	for head, want := range map[string][]Name{
		"Content-Type: text/plain":      nil,
		"Content-Type: a/b; name=x.pdf": name("x.pdf"),
		"Content-Type: a/b; name=\"x.pdf\"\nContent-Disposition: attachment; filename=x.pdf":                name("x.pdf"),
		"Content-Type: a/b; name=x.pdf\nContent-Disposition: attachment; filename=y.xlsx":                   name("x.pdf", "y.xlsx"),
		"Content-Type: a/b; name=x.pdf; NAME=y.xlsx":                                                        name("x.pdf", "y.xlsx"),
		"Content-Disposition: attachment; filename=x.pdf\nContent-Disposition: attachment; filename=y.xlsx": name("x.pdf", "y.xlsx"),
		"Content-Disposition: attachment; name=x.pdf":                                                       name("x.pdf"),
		"Content-Disposition: attachment; filename=my offer.pdf":                                            name("my offer.pdf"),
		"Content-Disposition: attachment; filename=\"a\\\"b.pdf\"":                                          name(`a"b.pdf`),
		"Content-Disposition: attachment; filename*=windows-1252'de'B%FCcher.xlsx":                          name("Bücher.xlsx"),
		"Content-Disposition: attachment; filename*=utf-8''B%C3%BCcher.xlsx; filename=Bucher.xlsx":          name("Bucher.xlsx", "Bücher.xlsx"),
		"Content-Disposition: attachment; filename*1*=cher.xlsx; filename*0*=koi8-r''%C2":                   name("бcher.xlsx"),
		"Content-Disposition: attachment; filename*0=a; filename*1=.xlsx":                                   name("a.xlsx"),
		"Content-Disposition: attachment; filename*0=\"=?windows-1252?q?B=FC\"; filename*1=\"cher?=.xlsx\"": name("Bücher.xlsx"),
		"Content-Disposition: attachment; filename*=''a.xlsx":                                               name("a.xlsx"),
		"Content-Type: a/b; name=\"=?iso-8859-1?Q?B=FCcher=2Exlsx?=\"":                                      name("Bücher.xlsx"),
		"Content-Disposition: attachment; (comment) ; filename (c) = (c) x.pdf":                             name("x.pdf"),
		"Content-Disposition: attachment; filename*=x-unknown''a.xlsx":                                      {{"a.xlsx", true}},
		"Content-Disposition: attachment; filename*=utf-8''a%zz.xlsx":                                       {{"a%zz.xlsx", true}},
		"Content-Disposition: attachment; filename*0=a; filename*2=.xlsx":                                   {{"a.xlsx", true}},
		"Content-Disposition: attachment; filename*0=a; filename*0=b; filename*1=.xlsx":                     {{"ab.xlsx", true}},
		"Content-Disposition: attachment; filename*01=a":                                                    {{"a", true}},
		"Content-Type: a/b; name=\"f\xfcr.pdf\"":                                                            {{"für.pdf", true}},
	} {
		m, err := Parse([]byte(head + "\n\nx\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Root().Names(); !slices.Equal(got, want) {
			t.Errorf("%q: %+v, want %+v", head, got, want)
		}
	}
}
