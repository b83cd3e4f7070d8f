package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html"
	"math"
)

// A bar of the chart.
type bar struct {
	label string
	value float64
	ours  bool
	note  string // behind the value
}

// Sizes of the chart, in pixels. The labels have a column of their own.
const (
	chartWidth  = 820
	labelWidth  = 240
	noteWidth   = 150
	barHeight   = 22
	barDistance = 34
	chartTop    = 64
	chartBottom = 46
)

// chart draws bars in SVG, for light and dark surroundings alike, with a line at 1:
// the limit. Screen readers read the title and the figures.
func chart(title string, bars []bar) ([]byte, error) {
	longest := 1.0
	for _, b := range bars {
		longest = max(longest, b.value)
	}
	longest = math.Ceil(longest*4) / 4 // the axis ends at a quarter
	scale := (chartWidth - labelWidth - noteWidth) / longest
	height := chartTop + len(bars)*barDistance + chartBottom
	bottom := height - chartBottom + 4

	var s bytes.Buffer
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `+
		`role="img" aria-labelledby="title desc">`+"\n", chartWidth, height)
	fmt.Fprintf(&s, `<title id="title">%s</title>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&s, `<desc id="desc">%s</desc>`+"\n", html.EscapeString(described(bars)))
	s.WriteString(chartStyle)
	fmt.Fprintf(&s, `<text class="title" x="20" y="30">%s</text>`+"\n", html.EscapeString(title))
	for tick := 0.0; tick <= longest; tick += 0.5 {
		x := labelWidth + tick*scale
		class := "grid"
		if tick == 1 {
			class = "limit"
		}
		fmt.Fprintf(&s, `<path class="%s" d="M%.1f %dV%d"/>`+"\n", class, x, chartTop-10, bottom)
		fmt.Fprintf(&s, `<text class="tick" x="%.1f" y="%d">%g ×</text>`+"\n", x, bottom+18, tick)
	}
	for i, b := range bars {
		y := chartTop + i*barDistance
		class := "bar"
		if b.ours {
			class = "bar ours"
		}
		middle := y + barHeight/2 + 5
		width := max(b.value*scale, 2)
		fmt.Fprintf(&s, `<text class="label" x="%d" y="%d">%s</text>`+"\n", labelWidth-12, middle, html.EscapeString(b.label))
		fmt.Fprintf(&s, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="3"/>`+"\n", class, labelWidth, y, width, barHeight)
		fmt.Fprintf(&s, `<text class="value" x="%.1f" y="%d">%s ×<tspan class="note" dx="8">%s</tspan></text>`+"\n",
			labelWidth+width+8, middle, figure(b.value), html.EscapeString(b.note))
	}
	s.WriteString("</svg>\n")
	return s.Bytes(), xml.Unmarshal(s.Bytes(), new(struct{}))
}

// described says in words what the bars show.
func described(bars []bar) string {
	var s bytes.Buffer
	for i, b := range bars {
		if i > 0 {
			s.WriteString("; ")
		}
		fmt.Fprintf(&s, "%s %s times", b.label, figure(b.value))
	}
	return s.String()
}

const chartStyle = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.label { text-anchor: end; }
.value { font-variant-numeric: tabular-nums; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
.tick { text-anchor: middle; font-size: 12px; fill: #59636e; }
.note { font-size: 12px; fill: #59636e; }
.grid { stroke: #d1d9e0; }
.limit { stroke: #59636e; stroke-dasharray: 4 3; }
.bar { fill: #afb8c1; }
.ours { fill: #0969da; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.value { stroke: #0d1117; }
.tick, .note { fill: #9198a1; }
.grid { stroke: #3d444d; }
.limit { stroke: #9198a1; }
.bar { fill: #656c76; }
.ours { fill: #4493f8; }
}
</style>
`
