package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"
)

// site is a Debian package with HTML documentation.
type site struct{ pkg, index string }

var sites = []site{
	{"python3.11-doc", "/usr/share/doc/python3.11/html/index.html"},
	{"postgresql-doc-15", "/usr/share/doc/postgresql-doc-15/html/index.html"},
}

// run is one crawl of a site.
type run struct {
	pages int
	took  time.Duration
}

func (r run) rate() float64 { return float64(r.pages) / r.took.Seconds() }

type crawler struct {
	name  string
	crawl func(ctx context.Context, addr string, concurrency int) (run, error)
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds of each crawler on each site")
	concurrency := flag.Int("concurrency", 8, "requests in flight")
	only := flag.String("only", "", "run this crawler alone")
	profile := flag.String("cpuprofile", "", "write a CPU profile of all rounds to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, *rounds, *concurrency, *only, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench-crawl:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, rounds, concurrency int, only, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	crawlers := []crawler{{"colly", withColly}, {"limpet", withLimpet}}
	if only != "" {
		crawlers = slices.DeleteFunc(crawlers, func(c crawler) bool { return c.name != only })
	}
	for _, s := range sites {
		if err := compare(ctx, s, crawlers, rounds, concurrency); err != nil {
			return fmt.Errorf("%s: %w", s.pkg, err)
		}
	}
	return nil
}

// compare crawls one site with all crawlers in turn.
func compare(ctx context.Context, s site, crawlers []crawler, rounds, concurrency int) error {
	root, err := docroot(ctx, s)
	if err != nil {
		return err
	}
	addr, stop, err := serve(ctx, root)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("%s, %d in flight\n", s.pkg, concurrency)
	rates := make(map[string][]float64)
	pages := 0
	for round := range rounds {
		for _, c := range crawlers {
			runtime.GC()
			r, err := c.crawl(ctx, addr, concurrency)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Printf("  round %d  %-7s %5d pages in %6.3f s  %7.1f pages/s\n", round+1, c.name, r.pages, r.took.Seconds(), r.rate())
			if pages == 0 {
				pages = r.pages
			}
			if r.pages != pages {
				return fmt.Errorf("%s found %d pages, %d were found before", c.name, r.pages, pages)
			}
			rates[c.name] = append(rates[c.name], r.rate())
		}
	}
	for _, c := range crawlers {
		fmt.Printf("  median   %-7s %7.1f pages/s\n", c.name, median(rates[c.name]))
	}
	if len(crawlers) == 2 {
		fmt.Printf("  limpet / colly = %.2f\n", median(rates["limpet"])/median(rates["colly"]))
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
