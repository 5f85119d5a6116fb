package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service/setup"
)

// readAnswers fills what no flag said from the file of answers.
func (c *initCmd) readAnswers() error {
	if c.Answers == "" {
		return nil
	}
	data, err := os.ReadFile(c.Answers)
	if err != nil {
		return unusable(fmt.Errorf("--answers: %w; check the path and who may read it", err))
	}
	if ps := config.Syntax(c.Answers, data); len(ps) > 0 {
		return unusable(errors.New("--answers: " + ps[0].String()))
	}
	var answers setup.Answers
	var raw map[string]any
	if _, err := toml.Decode(string(data), &raw); err != nil {
		return unusable(fmt.Errorf("--answers: %s: %w; correct the file", c.Answers, err))
	}
	fields := answerFields(&answers)
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		field, ok := fields[name]
		if !ok {
			return unusable(fmt.Errorf("--answers: %s: unknown name %q; %s", c.Answers, name, c.noAnswer(name, fields)))
		}
		if problem := answer(field, raw[name]); problem != "" {
			return unusable(fmt.Errorf("--answers: %s: %s: %s", c.Answers, name, problem))
		}
	}
	c.Given.Fill(answers)
	return nil
}

// answerFields are those of a, by their names in a file.
func answerFields(a *setup.Answers) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	v := reflect.ValueOf(a).Elem()
	for f := range v.Type().Fields() {
		fields[f.Tag.Get("toml")] = v.FieldByIndex(f.Index)
	}
	return fields
}

// answer sets a field from a file. It returns what is wrong, with the remedy.
func answer(field reflect.Value, raw any) string {
	list, isList := raw.([]any)
	text, isText := raw.(string)
	switch {
	case field.Kind() == reflect.String && isText:
		field.SetString(text)
		return ""
	case field.Kind() == reflect.String:
		return `must be one text; write it in double quotes, such as way = "filter"`
	case isList:
		for _, item := range list {
			text, isText := item.(string)
			if !isText {
				break
			}
			field.Set(reflect.Append(field, reflect.ValueOf(text)))
		}
		if field.Len() == len(list) {
			return ""
		}
	}
	return `must be a list; write it in square brackets, such as domain = ["example.com"]`
}

// noAnswer says what to do about a name that no answer has.
func (c *initCmd) noAnswer(name string, fields map[string]reflect.Value) string {
	for f := range reflect.TypeFor[initCmd]().Fields() {
		if flag := kebab(f.Name); flag == name {
			return "give --" + flag + " on the command line"
		}
	}
	if near := config.Nearest(name, slices.Sorted(maps.Keys(fields))); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the names are " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

// kebab is the name of the flag of a field.
func kebab(field string) string {
	var b strings.Builder
	for i, r := range field {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
