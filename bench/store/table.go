package main

import (
	"fmt"
	"slices"
	"strings"
)

// pair is what the two servers reached in the same rounds.
type pair struct{ redis, limpet []float64 }

// add notes what a server reached in a round.
func (p *pair) add(name string, v float64) {
	if name == "redis" {
		p.redis = append(p.redis, v)
	} else {
		p.limpet = append(p.limpet, v)
	}
}

// ratio is limpet over redis: of the medians, and the lowest and highest of the
// rounds.
func (p pair) ratio() (middle, low, high float64) {
	var each []float64
	for i := range p.limpet {
		each = append(each, p.limpet[i]/p.redis[i])
	}
	return median(p.limpet) / median(p.redis), slices.Min(each), slices.Max(each)
}

// title begins a table.
func title(text string, columns ...string) {
	fmt.Printf("\n%s\n\n| %s |\n|%s\n", text, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// row prints one measurement; format is how a number is printed.
func row(name string, p pair, format string, more ...string) {
	middle, low, high := p.ratio()
	fmt.Printf("| %s | "+format+" | "+format+" | %.2f (%.2f to %.2f) |", name, median(p.redis), median(p.limpet), middle, low, high)
	for _, cell := range more {
		fmt.Printf(" %s |", cell)
	}
	fmt.Println()
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
