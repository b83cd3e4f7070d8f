package main

import (
	"fmt"
	"io"
	"time"
)

// A log says how far the program is, for who waits for it.
type log struct {
	w     io.Writer
	start time.Time
}

func newLog(w io.Writer) *log { return &log{w: w, start: time.Now()} }

func (l *log) section(name string) {
	fmt.Fprintf(l.w, "%5.1f s  %s\n", time.Since(l.start).Seconds(), name)
}

// stepf tells of a part of a section.
func (l *log) stepf(format string, args ...any) {
	fmt.Fprintf(l.w, "%5.1f s    %s\n", time.Since(l.start).Seconds(), fmt.Sprintf(format, args...))
}
