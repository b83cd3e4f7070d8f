package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

// pollSlot is shorter than the interval, by as much as one request may take
// longer than the next: who keeps to the interval never falls into one slot twice.
const pollSlot = pollInterval - time.Second

// A deviceDecision is what a person answered to a device's request. As a code's
// record does, it outlasts what it is for, and goes into the grant.
type deviceDecision struct {
	Authorization authorization `json:"authorization"` // of a denial, the client alone
	Denied        bool          `json:"denied,omitempty"`
	Until         int64         `json:"until"` // when it is too late to fetch tokens, in Unix milliseconds
}

// keepDecision writes down what the person with session n answered to the device
// of ar, nil being no, and reports whether that is the answer: the first is.
func (s *Server) keepDecision(ctx context.Context, ar *authorizationRequest, n *session) (first bool, err error) {
	until := ar.device.until
	if soon := s.now().Add(codeLifetime); soon.After(until) {
		until = soon // time for the device to ask once more
	}
	d := &deviceDecision{Authorization: authorization{ClientID: ar.client.ClientID}, Denied: n == nil, Until: until.UnixMilli()}
	if n != nil {
		d.Authorization = ar.allowedBy(n)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return false, fmt.Errorf("decision about a device: %w", err)
	}
	record := Record{Grant: grantOf(ar.device.key), Data: data, Expiry: until.Add(deviceCodeLifetime)}
	return s.putOnce(ctx, DeviceDecision, ar.device.key, record)
}

// deviceCode answers a device that asks whether it may have tokens by now (RFC
// 8628 section 3.4). As with an authorization code, whoever has no right to the
// device code learns nothing about it and does not use it up, it works once, and a
// second time revokes what the first one brought.
func (s *Server) deviceCode(ctx context.Context, r *request) (*tokenResponse, error) {
	code := r.form.Get("device_code")
	if code == "" {
		return nil, refuse(invalidRequest, "device_code is required")
	}
	key := s.keyOf(code)
	data, err := s.ticketData(ctx, DeviceDecision, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, s.undecided(ctx, r, key)
	case err != nil:
		return nil, err
	}
	d := &deviceDecision{}
	if err := strictjson.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("record of a decision about a device: %w", err)
	}
	switch {
	case d.Authorization.ClientID != r.client.ClientID:
		return nil, errBadDeviceCode()
	case d.Denied:
		return nil, refuse(accessDenied, "the person said no")
	default:
		return s.redeem(ctx, r, &ticket{
			name: "device code", kind: DeviceDecision, key: key, data: data, allowed: &d.Authorization, until: d.Until,
			used: errBadDeviceCode(), expired: errDeviceCodeExpired(),
		})
	}
}

// undecided is the answer as long as no person has given one (RFC 8628 section
// 3.5).
func (s *Server) undecided(ctx context.Context, r *request, key Hash) error {
	d, err := s.deviceRecord(ctx, key)
	now := s.now()
	switch {
	case errors.Is(err, ErrNotFound):
		return errBadDeviceCode()
	case err != nil:
		return err
	case d.ClientID != r.client.ClientID:
		return errBadDeviceCode()
	case now.UnixMilli() >= d.Until:
		return errDeviceCodeExpired()
	}
	slot := now.UnixMilli() / pollSlot.Milliseconds()
	first, err := s.once(ctx, DevicePoll, HashOf(string(key[:])+strconv.FormatInt(slot, 10)), now.Add(2*pollSlot))
	switch {
	case err != nil:
		return err
	case !first:
		return refuse(slowDown, "wait 5 seconds longer between requests")
	default:
		return refuse(authorizationPending, "the person has not answered yet")
	}
}

func errBadDeviceCode() error {
	return refuse(invalidGrant, "the device_code is unknown, used, or another client's")
}

func errDeviceCodeExpired() error { return refuse(expiredToken, "the device_code has expired") }
