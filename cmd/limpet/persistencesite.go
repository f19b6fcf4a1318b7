package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The site that limpet persistence-test crawls where it is given no other: pages
// in a tree, each linked from several others, slow enough to be interrupted.
const (
	sitePages = 240
	sitePause = 25 * time.Millisecond
)

func siteHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1
		if r.URL.Path != "/" {
			text, isPage := strings.CutPrefix(r.URL.Path, "/page/")
			i, err := strconv.Atoi(text)
			if !isPage || err != nil || i < 2 || i > sitePages {
				http.NotFound(w, r)
				return
			}
			n = i
		}
		time.Sleep(sitePause)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>page %d</title><a href=/>home</a>", n)
		for _, to := range []int{2 * n, 2*n + 1, n + 1, n - 1} {
			if to > 1 && to <= sitePages {
				_, _ = fmt.Fprintf(w, " <a href=/page/%d>%d</a>", to, to)
			}
		}
	})
}

// serveSite serves the pages until the context ends.
func serveSite(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return failf(exitLocal, "%s", err)
	}
	s := &http.Server{Handler: siteHandler(), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return failf(exitLocal, "%s", err)
	}
	return nil
}
