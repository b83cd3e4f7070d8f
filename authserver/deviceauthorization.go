package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

const (
	deviceCodeLifetime = 10 * time.Minute
	pollInterval       = 5 * time.Second

	userCodeParam = "user_code"
	userCodeTries = 8 // until one is free
)

// A deviceResponse is the successful answer of RFC 8628 section 3.2.
type deviceResponse struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"` // seconds
	Interval                int64  `json:"interval"`   // seconds
}

// A deviceRecord is what a device asked for. It outlasts the device code, so that
// who polls on learns that it has expired.
type deviceRecord struct {
	ClientID string     `json:"client_id"`
	Params   url.Values `json:"params"`
	Until    int64      `json:"until"` // when the codes expire, in Unix milliseconds
}

// deviceParams are those of a device authorization request that say what it is for.
var deviceParams = []string{"resource", "scope"}

// authorizeDevice is the device authorization endpoint (RFC 8628 section 3.1).
// What a person answers is kept apart from what it begins, under the same key.
func (s *Server) authorizeDevice(ctx context.Context, r *request) (any, error) {
	params := url.Values{}
	for _, name := range deviceParams {
		if values, sent := r.form[name]; sent {
			params[name] = values
		}
	}
	ar := &authorizationRequest{client: r.client}
	if err := ar.checkDevice(params, s.userinfo()); err != nil {
		return nil, err
	}
	until := s.now().Add(deviceCodeLifetime)
	data, err := json.Marshal(&deviceRecord{ClientID: r.client.ClientID, Params: params, Until: until.UnixMilli()})
	if err != nil {
		return nil, fmt.Errorf("device code: %w", err)
	}
	deviceCode := newSecret()
	key := s.keyOf(deviceCode)
	userCode, err := s.keepUserCode(ctx, key, until)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func() error {
		return s.store.Put(ctx, DeviceCode, key, Record{Data: data, Expiry: until.Add(deviceCodeLifetime)})
	})
	if err != nil {
		return nil, err
	}
	return &deviceResponse{
		DeviceCode:              deviceCode,
		UserCode:                userCode,
		VerificationURI:         s.base + devicePath,
		VerificationURIComplete: s.base + devicePath + "?" + deviceQuery(userCode),
		ExpiresIn:               int64(deviceCodeLifetime / time.Second),
		Interval:                int64(pollInterval / time.Second),
	}, nil
}

// keepUserCode makes a user code that nobody else has for a device code. Of its few
// bits a hash is no secret to whoever reads the store.
func (s *Server) keepUserCode(ctx context.Context, device Hash, until time.Time) (string, error) {
	for range userCodeTries {
		code := newUserCode()
		first, err := s.putOnce(ctx, UserCode, s.keyOf(code), Record{Data: device[:], Expiry: until})
		if err != nil || first {
			return code, err
		}
	}
	return "", storeFailed(errors.New("every user code that was tried is taken"))
}

// A waitingDevice is the device that an authorization request is of, if it is not
// of a browser.
type waitingDevice struct {
	userCode string // as people read it
	key      Hash   // of the device code
	until    time.Time
}

// byUserCode returns the authorization request of a device that waits for an
// answer, or ErrNotFound. It checks all of it again.
func (s *Server) byUserCode(ctx context.Context, code string) (*authorizationRequest, error) {
	found, err := s.lookUp(ctx, UserCode, s.keyOf(code))
	if err != nil {
		return nil, err
	}
	device := &waitingDevice{userCode: code}
	if copy(device.key[:], found.Data) != len(device.key) {
		return nil, errors.New("record of a user code: holds no key")
	}
	d, err := s.deviceRecord(ctx, device.key)
	if err != nil {
		return nil, err
	}
	device.until = time.UnixMilli(d.Until)
	if !s.now().Before(device.until) {
		return nil, ErrNotFound
	}
	switch _, err := s.lookUp(ctx, DeviceDecision, device.key); {
	case err == nil:
		return nil, ErrNotFound // it had its answer
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	ar := &authorizationRequest{query: deviceQuery(code), maxAge: -1, device: device}
	if ar.client, err = s.claimed(ctx, d.ClientID); err != nil {
		return nil, err
	}
	return ar, ar.checkDevice(d.Params, s.userinfo())
}

// checkDevice keeps what a device asks for, if its client may have it.
func (ar *authorizationRequest) checkDevice(params url.Values, userinfo string) error {
	if !ar.client.may(deviceGrant) {
		return refuseGrant(deviceGrant)
	}
	return ar.checkAccess(params, userinfo)
}

func (s *Server) deviceRecord(ctx context.Context, key Hash) (*deviceRecord, error) {
	r, err := s.lookUp(ctx, DeviceCode, key)
	if err != nil {
		return nil, err
	}
	d := &deviceRecord{}
	if err := strictjson.Unmarshal(r.Data, d); err != nil {
		return nil, fmt.Errorf("record of a device code: %w", err)
	}
	return d, nil
}

// deviceQuery is the query by which the pages know a device's request.
func deviceQuery(userCode string) string { return url.Values{userCodeParam: {userCode}}.Encode() }
