package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// get asks a handler, and returns the answer and what was logged.
func get(of func(*slog.Logger) http.Handler, path string) (*httptest.ResponseRecorder, string) {
	var out bytes.Buffer
	answer := httptest.NewRecorder()
	of(slog.New(slog.NewJSONHandler(&out, nil))).
		ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer, out.String()
}

func service(s *store) func(*slog.Logger) http.Handler {
	return func(log *slog.Logger) http.Handler { return handler(log, s) }
}

func checkLine(t *testing.T, text string, wants map[string]any) {
	t.Helper()
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("the log line %q is no JSON: %v", text, err)
	}
	for key, want := range wants {
		if line[key] != want {
			t.Errorf("the log line has %s=%v, want %v", key, line[key], want)
		}
	}
	if _, ok := line["duration_ms"].(float64); !ok {
		t.Errorf("the log line has no duration_ms: %v", line)
	}
}

func TestHealthIsNotLogged(t *testing.T) {
	answer, line := get(service(&store{}), "/healthz")
	if answer.Code != http.StatusOK || line != "" {
		t.Fatalf("GET /healthz: %d, logged %q", answer.Code, line)
	}
}

func TestRequestsAreLogged(t *testing.T) {
	_, line := get(service(&store{}), "/nothing-here")
	checkLine(t, line, map[string]any{
		"level": "INFO", "component": "http", "status": 404.0, "path": "/nothing-here",
	})
}

func TestErrorsAreLogged(t *testing.T) {
	failing := func(log *slog.Logger) http.Handler {
		return logged(log, func(http.ResponseWriter, *http.Request) error { return errors.New("broken") })
	}
	answer, line := get(failing, "/")
	checkLine(t, line, map[string]any{"level": "ERROR", "status": 500.0, "error": "broken"})
	if strings.Contains(answer.Body.String(), "broken") {
		t.Errorf("the answer tells the error: %q", answer.Body)
	}
}

func TestHomeWithoutServers(t *testing.T) {
	answer, _ := get(service(&store{}), "/")
	for _, want := range []string{"not counted without DATABASE_URL", "not cached without REDIS_URL"} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("GET /: %q does not say %q", answer.Body, want)
		}
	}
}

// Runs only where both servers are, for example with the URLs of a local PostgreSQL and Redis.
func TestHomeWithServers(t *testing.T) {
	databaseURL, redisURL := os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL")
	if databaseURL == "" || redisURL == "" {
		t.Skip("needs DATABASE_URL and REDIS_URL")
	}
	s, err := openStore(context.Background(), databaseURL, redisURL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var visits, slow [2]string
	for i := range visits {
		answer, line := get(service(s), "/")
		checkLine(t, line, map[string]any{"status": 200.0})
		lines := strings.Split(answer.Body.String(), "\n")
		visits[i], slow[i] = lines[1], lines[2]
		time.Sleep(1100 * time.Millisecond) // the slow result has whole seconds
	}
	if visits[0] == visits[1] {
		t.Errorf("the second visit was not counted: %s", visits[0])
	}
	if slow[0] != slow[1] {
		t.Errorf("the slow result was computed twice: %s, %s", slow[0], slow[1])
	}
}

func TestStopCompletesRunningRequests(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		time.Sleep(200 * time.Millisecond)
		_, _ = io.WriteString(w, "done")
	})
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(stop, listener, slow) }()
	go func() {
		<-started
		cancel()
	}()
	answer, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatalf("a running request was cut off: %v", err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "done" {
		t.Errorf("a running request was answered by %q, %v", body, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
