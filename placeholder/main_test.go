package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// get returns the answer to a request, and what was written to stdout and stderr meanwhile.
func get(t *testing.T, path string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = writer, writer
	answer := httptest.NewRecorder()
	handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	os.Stdout, os.Stderr = stdout, stderr
	_ = writer.Close()
	written, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(written)
}

func TestIsReady(t *testing.T) {
	answer, written := get(t, "/healthz")
	if answer.Code != http.StatusOK || written != "" {
		t.Errorf("GET /healthz: %d, wrote %q", answer.Code, written)
	}
}

func TestSaysWhatItIs(t *testing.T) {
	for _, path := range []string{"/", "/any/page"} {
		answer, written := get(t, path)
		if answer.Code != http.StatusServiceUnavailable || written != "" {
			t.Errorf("GET %s: %d, wrote %q", path, answer.Code, written)
		}
		if body := answer.Body.String(); !strings.Contains(body, "This project has no build yet") {
			t.Errorf("GET %s: the page %q does not say what it is", path, body)
		}
	}
}
