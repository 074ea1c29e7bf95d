package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

func handler(log *slog.Logger, store *store) http.Handler {
	mux := http.NewServeMux()
	// Not logged: Kubernetes asks every few seconds.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /{$}", logged(log, home(store)))
	mux.Handle("/", logged(log, func(w http.ResponseWriter, r *http.Request) error {
		http.NotFound(w, r)
		return nil
	}))
	return mux
}

// home shows how to use the database and the cache.
func home(store *store) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		visits, err := store.countVisit(r.Context())
		if err != nil {
			return err
		}
		slow, err := store.cached(r.Context(), "slow", 10*time.Second, func() string {
			return "computed at " + time.Now().UTC().Format(time.RFC3339)
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "{{PROJECT_SLUG}}\nvisits: %s\nslow result: %s\n", visits, slow)
		return err
	}
}

// An endpoint answers a request. Its error becomes the status 500 and a log line of level error.
type endpoint func(http.ResponseWriter, *http.Request) error

// logged writes a line for every request. To find slow ones in Citadel, query
// "component:http duration_ms:>5000".
func logged(log *slog.Logger, answer endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		level, fields := slog.LevelInfo, []any{}
		if err := answer(seen, r); err != nil {
			http.Error(seen, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			level, fields = slog.LevelError, []any{"error", err.Error()}
		}
		log.Log(r.Context(), level, "request", append(fields,
			"component", "http",
			"method", r.Method,
			"path", r.URL.Path,
			"status", seen.status,
			"duration_ms", time.Since(start).Milliseconds())...)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
