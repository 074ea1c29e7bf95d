package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func get(t *testing.T, path string) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	var out bytes.Buffer
	answer := httptest.NewRecorder()
	handler(slog.New(slog.NewJSONHandler(&out, nil))).
		ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("the log line %q is no JSON: %v", out.String(), err)
	}
	return answer, line
}

func TestHealth(t *testing.T) {
	answer, _ := get(t, "/healthz")
	if answer.Code != http.StatusOK {
		t.Fatalf("GET /healthz: %d", answer.Code)
	}
}

func TestRequestsAreLogged(t *testing.T) {
	answer, line := get(t, "/nothing-here")
	if answer.Code != http.StatusNotFound {
		t.Fatalf("GET /nothing-here: %d", answer.Code)
	}
	for key, want := range map[string]any{"component": "http", "status": 404.0, "path": "/nothing-here"} {
		if line[key] != want {
			t.Errorf("the log line has %s=%v, want %v", key, line[key], want)
		}
	}
	if _, ok := line["duration_ms"].(float64); !ok {
		t.Errorf("the log line has no duration_ms: %v", line)
	}
}
