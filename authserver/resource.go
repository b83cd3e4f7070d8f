package authserver

import (
	"net/url"
	"slices"
)

// audience returns the aud of the token to issue: the resources that the request
// names, each of which the client is registered for (RFC 8707 section 2), or all
// of those if it names none (the default resource of RFC 9068 section 3).
func (r *request) audience() ([]string, error) { return r.audienceOf(r.client.Audience) }

// personalAudience is audience for what a person is asked: openid is for the
// userinfo endpoint as well, which then may be named too.
func (r *request) personalAudience(scope, userinfo string) ([]string, error) {
	if !hasOpenID(scope) {
		return r.audience()
	}
	asked, err := r.audienceOf(with(r.client.Audience, userinfo))
	return with(asked, userinfo), err
}

// audienceOf is audience with the resources that the client may name.
func (r *request) audienceOf(allowed []string) ([]string, error) {
	var asked []string
	for _, resource := range r.form["resource"] {
		u, err := url.Parse(resource)
		switch {
		case resource == "" || slices.Contains(asked, resource): // without a value is as if not sent
			continue
		case err != nil || !u.IsAbs():
			return nil, refuse(invalidTarget, "resource must be an absolute URI")
		case !slices.Contains(allowed, resource): // which holds no URI with a fragment
			return nil, refuse(invalidTarget, "resource is not one that the client is registered for")
		}
		asked = append(asked, resource)
	}
	switch {
	case asked != nil:
		return asked, nil
	case len(allowed) > 0:
		return allowed, nil
	default:
		return nil, refuse(invalidTarget, "the client is registered for no resource")
	}
}

// narrowed returns the aud of a token that comes of a grant for granted: the
// resources that the request names, none besides those (RFC 8707 section 2.2), or
// all of them if it names none.
func (r *request) narrowed(granted []string) ([]string, error) {
	asked := slices.DeleteFunc(slices.Clone(r.form["resource"]), func(resource string) bool { return resource == "" })
	if len(asked) == 0 {
		return granted, nil
	}
	for _, resource := range asked {
		if !slices.Contains(granted, resource) {
			return nil, refuse(invalidTarget, "resource is not one that was granted")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(asked))), nil
}

// with returns list and one, once.
func with(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(slices.Clip(list), one)
}
