// {{PROJECT_SLUG}}: a small service with a health endpoint, a database, a cache and structured logs.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drain is how long running requests may take after SIGTERM. The pod's preStop (5 s) and this must be
// less than its terminationGracePeriodSeconds (30 s).
const drain = 20 * time.Second

func main() {
	// One JSON object per line on stdout. The agent on the node sends it to Citadel.
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	if err := run(stop, log); err != nil {
		log.Error("stopped", "component", "main", "error", err.Error())
		os.Exit(1)
	}
	log.Info("stopped", "component", "main")
}

func run(stop context.Context, log *slog.Logger) error {
	store, err := openStore(stop, os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	defer store.close()

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	log.Info("listening", "component", "main", "port", port)
	return serve(stop, listener, handler(log, store))
}

// serve answers requests until stop is done, and then completes the running ones. Kubernetes first
// stops sending requests to a pod that it ends, waits for the pod's preStop, and only then sends
// SIGTERM. So no client meets a closed port.
func serve(stop context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	grace, done := context.WithTimeout(context.Background(), drain)
	defer done()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(errors.New("some requests were cut off"), err)
	}
	return nil
}
