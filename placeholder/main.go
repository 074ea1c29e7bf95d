// The placeholder runs in a project's Deployment until the project's first build. It logs nothing,
// because its lines would be the project's.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>No build yet</title>
<h1>No build yet</h1>
<p>This project has no build yet. Its pipeline builds and deploys every commit on its main branch; then
the project replaces this page. If the page stays, look at the project's pipeline for the reason.</p>
<p>This is the placeholder of rdev-infra.</p>
`

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-stop.Done():
		_ = server.Shutdown(context.Background())
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Retry-After", "30")
		// A program that asks for the project must not take this page for it.
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, page)
	})
	return mux
}
