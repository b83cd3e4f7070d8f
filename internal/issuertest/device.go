package issuertest

import (
	"context"
	"fmt"
	"net/url"
)

// Device begins a device authorization (RFC 8628 section 3.1) and has alice allow
// it, at the servers that a and its browser are at.
func (a *App) Device(ctx context.Context) (deviceCode, userCode string, err error) {
	answer, err := a.Post(ctx, "/device_authorization", url.Values{}, nil)
	if err != nil {
		return "", "", err
	}
	deviceCode, userCode = answer.Text("device_code"), answer.Text("user_code")
	if deviceCode == "" || userCode == "" {
		return "", "", fmt.Errorf("no device code: %s", answer.Outcome())
	}
	return deviceCode, userCode, a.Allow(ctx, userCode)
}

// Allow has alice type a user code, and allow what its device asks for.
func (a *App) Allow(ctx context.Context, userCode string) error {
	_, err := a.walk(ctx, URL+"/device?"+url.Values{"user_code": {userCode}}.Encode())
	return err
}

// RedeemDevice takes a device code to the token endpoint.
func (a *App) RedeemDevice(ctx context.Context, deviceCode string) (*Answer, error) {
	return a.Post(ctx, "/token", url.Values{"grant_type": {deviceGrant}, "device_code": {deviceCode}}, nil)
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
