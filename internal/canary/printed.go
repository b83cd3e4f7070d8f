package canary

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
)

// Printed is v in every way that a program might print or log it, by what the way is
// called. Of an error, all that it wraps are there by themselves.
func Printed(v any) map[string]string {
	texts := map[string]string{}
	printInto(texts, "", v)
	return texts
}

func printInto(texts map[string]string, path string, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts[path+verb] = fmt.Sprintf(verb, v)
	}
	var text strings.Builder
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&text, options), slog.NewJSONHandler(&text, options)} {
		slog.New(handler).Debug("printed", slog.Any("value", v))
	}
	texts[path+"slog"] = text.String()
	data, err := json.Marshal(v)
	texts[path+"json"] = fmt.Sprint(string(data), " ", err)

	switch e := v.(type) {
	case interface{ Unwrap() []error }:
		for i, inner := range e.Unwrap() {
			printInto(texts, fmt.Sprintf("%s%d.", path, i), inner)
		}
	case interface{ Unwrap() error }:
		printInto(texts, path+"0.", e.Unwrap())
	}
}
