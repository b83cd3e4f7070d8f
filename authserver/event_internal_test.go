package authserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Whatever has a value is in the log, under its JSON name, and whatever has none
// is not.
func TestEvent_LogsWhatItHas(t *testing.T) {
	t.Parallel()
	e := Event{
		Type: EventConsent, Time: time.Unix(1, 0), Path: "path", Status: 400, ClientID: "client_id", Subject: "sub", GrantType: "grant_type", Grant: "grant",
		TokenID: "jti", Scope: "scope", Audience: []string{"aud"}, KeyID: "kid", Algorithm: "alg", Error: "error", Reason: "reason", Cause: errors.New("cause"),
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "event", e, "none", Event{Type: EventSignIn})
	var record struct{ Event, None map[string]any }
	if err := json.Unmarshal(log.Bytes(), &record); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "time")
	for name := range members {
		if got := record.Event[name]; got != name && name != "type" && name != "status" {
			t.Errorf("%s: logged as %v", name, got)
		}
	}
	if record.Event["cause"] != "cause" || record.Event["status"] != 400.0 || record.Event["type"] != "consent" || len(record.Event) != len(members)+1 {
		t.Errorf("logged %v, JSON has %v", record.Event, members)
	}
	if len(record.None) != 1 || record.None["type"] != "sign-in" {
		t.Errorf("logged %v of an event without values", record.None)
	}
}

func TestEvent_Levels(t *testing.T) {
	t.Parallel()
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for _, row := range []struct {
		ctx   context.Context
		event Event
		level string
	}{
		{t.Context(), Event{Type: EventTokenIssued}, "DEBUG"},
		{t.Context(), Event{Type: EventSignIn}, "INFO"},
		{t.Context(), Event{Type: EventRefused, Status: 400}, "INFO"},
		{t.Context(), Event{Type: EventRefused, Status: 503}, "ERROR"},
		{gone, Event{Type: EventRefused, Status: 503}, "INFO"},
		{t.Context(), Event{Type: EventRefreshReuse}, "WARN"},
		{t.Context(), Event{Type: EventRevocation}, "INFO"},
		{t.Context(), Event{Type: EventRevocation, Error: "invalid_grant"}, "WARN"},
	} {
		var log bytes.Buffer
		s, err := New(Config{
			Issuer: "https://issuer.example", Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if s.emit(row.ctx, row.event); !strings.Contains(log.String(), "level="+row.level+" ") {
			t.Errorf("%v: %s, want %s", row.event.Type, log.String(), row.level)
		}
	}
}
