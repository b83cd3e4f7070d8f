// Package fetch makes one bounded HTTP exchange with an issuer: a size limit, a
// status that means success, JSON and nothing else, and no redirect to another
// host. What it refuses is an error, never an answer.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// CheckURL returns an error unless raw is an absolute https URL without user
// information or fragment; http will do for a loopback host.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("must be printable ASCII: a host in punycode, the rest escaped")
	case u.Host == "" || u.Hostname() == "":
		return errors.New("not an absolute URL")
	case u.User != nil:
		return errors.New("must not hold user information")
	case strings.Contains(raw, "#"):
		return errors.New("must not have a fragment")
	case u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("must use https (http is for loopback hosts)")
	}
}

// IsLoopback reports whether host is localhost or an address of the loopback
// interface.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Client returns a copy of base ([http.DefaultClient] if nil) that follows
// redirects of GET within one host and scheme only, three at most, and keeps no
// cookies.
func Client(base *http.Client) *http.Client {
	if base == nil {
		base = http.DefaultClient
	}
	c := *base
	c.Jar = nil
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0]
		switch {
		case first.Method != http.MethodGet || len(via) > 3:
			return http.ErrUseLastResponse
		case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
			return http.ErrUseLastResponse
		default:
			return nil
		}
	}
	return &c
}

// A StatusError is an answer with a status other than 200.
type StatusError struct {
	Code  int
	After time.Duration // what Retry-After said; 0 if nothing
}

func (e *StatusError) Error() string { return "answered " + strconv.Itoa(e.Code) }

// RetryAfter returns how long the server asked to wait, 0 if it did not.
func (e *StatusError) RetryAfter() time.Duration { return e.After }

// JSON sends req and returns the body of the answer, which is at most limit
// bytes of some JSON media type (application/json, application/jwk-set+json and
// the like) with status 200, and its header. The caller parses the body.
//
// An error names the URL without its query and nothing that was sent.
func JSON(client *http.Client, req *http.Request, limit int64) ([]byte, http.Header, error) {
	return Do(client, req, limit, isJSON)
}

// Do is JSON with a say of the caller about the media type, which is empty if
// the answer has none.
func Do(client *http.Client, req *http.Request, limit int64, accept func(mediaType string) bool) ([]byte, http.Header, error) {
	body, header, err := do(client, req, limit, accept)
	if err != nil {
		return nil, header, fmt.Errorf("%s %s://%s%s: %w", req.Method, req.URL.Scheme, req.URL.Host, req.URL.EscapedPath(), err)
	}
	return body, header, nil
}

func do(client *http.Client, req *http.Request, limit int64, accept func(string) bool) ([]byte, http.Header, error) {
	var answered atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn:              func(string) { answered.Store(false) }, // a redirect's, or once more
		GotFirstResponseByte: func() { answered.Store(true) },
	}))
	resp, err := client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err // it repeats the URL, query included
		}
		if answered.Load() {
			err = unquoted(req.Context(), err)
		}
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.Header, &StatusError{Code: resp.StatusCode, After: retryAfter(resp.Header)}
	}
	if mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); !accept(mt) {
		return nil, resp.Header, errors.New("answered with an unexpected Content-Type")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, resp.Header, fmt.Errorf("reading the answer: %w", unquoted(req.Context(), err))
	}
	if int64(len(body)) > limit {
		return nil, resp.Header, fmt.Errorf("answered with more than %d bytes", limit)
	}
	return body, resp.Header, nil
}

// unquoted is err, which came of reading an answer, without any of the answer: net/http
// quotes what it cannot read, and there may be in it what was asked with.
func unquoted(ctx context.Context, err error) error {
	_, network := errors.AsType[net.Error](err)
	ended := ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
	if network || ended || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errors.New("answered with what cannot be read as HTTP")
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// retryAfter reads RFC 9110 section 10.2.3, bounded to an hour.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	var d time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), time.Hour)
}
