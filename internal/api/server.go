package api

import (
	"net/http"
	"time"
)

// NewServer makes a server for the API whose limits keep slow or silent clients
// from holding connections. Handlers whose answers may take longer extend their
// own time to write.
func NewServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second, // header and body, of 1 MiB at most
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
