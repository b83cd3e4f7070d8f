package grpcauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// errNoPolicy refuses a call that nobody thought of.
var errNoPolicy = errors.New("no policy for this method")

// policy is what one method asks for.
type policy struct {
	public      bool
	requirement validator.Requirement
}

type policies struct {
	methods  map[string]*policy // by full method
	services map[string]*policy // by service
	fallback *policy            // nil for none
}

func newPolicies(o *Options) (policies, error) {
	p := policies{methods: map[string]*policy{}, services: map[string]*policy{}}
	for key, r := range o.Methods {
		if !p.add(key, required(r)) {
			return p, malformedKey("Methods", key)
		}
		if err := checkRequirement(fmt.Sprintf("Options.Methods[%q]", key), &r); err != nil {
			return p, err
		}
	}
	for _, key := range o.Public {
		if _, both := o.Methods[key]; both {
			return p, fmt.Errorf("grpcauth: Options.Public: %q: is in Options.Methods too", key)
		}
		if !p.add(key, &policy{public: true}) {
			return p, malformedKey("Public", key)
		}
	}
	if o.Default != nil {
		if err := checkRequirement("Options.Default", o.Default); err != nil {
			return p, err
		}
		p.fallback = required(*o.Default)
	}
	return p, nil
}

func malformedKey(option, key string) error {
	return fmt.Errorf("grpcauth: Options.%s: %q: want /package.Service/Method or /package.Service/*", option, key)
}

// checkRequirement refuses what nobody means to ask for, as no token meets it.
func checkRequirement(name string, r *validator.Requirement) error {
	for field, scopes := range map[string][]string{"Scopes": r.Scopes, "AnyScope": r.AnyScope} {
		for _, scope := range scopes {
			if !wire.IsScope(scope) {
				return fmt.Errorf("grpcauth: %s.%s: %q: not a scope-token of RFC 6749 section 3.3", name, field, scope)
			}
		}
	}
	if r.AuthMaxAge < 0 {
		return fmt.Errorf("grpcauth: %s.AuthMaxAge: must not be negative", name)
	}
	return nil
}

// add reports whether key is one.
func (p *policies) add(key string, what *policy) bool {
	if service, ok := strings.CutSuffix(key, "/*"); ok {
		service, ok = strings.CutPrefix(service, "/")
		p.services[service] = what
		return ok && isName(service)
	}
	_, ok := serviceOf(key)
	p.methods[key] = what
	return ok
}

// of returns the policy for a call. What is not well formed has none, not even
// the default: two readers might take it for two different methods.
func (p *policies) of(fullMethod string) (*policy, bool) {
	if found, ok := p.methods[fullMethod]; ok {
		return found, true
	}
	service, ok := serviceOf(fullMethod)
	if !ok {
		return nil, false
	}
	if found, ok := p.services[service]; ok {
		return found, true
	}
	return p.fallback, p.fallback != nil
}

// required copies r: what its maker does to it later changes no policy.
func required(r validator.Requirement) *policy {
	r.Scopes, r.AnyScope, r.ACR = slices.Clone(r.Scopes), slices.Clone(r.AnyScope), slices.Clone(r.ACR)
	return &policy{requirement: r}
}

// serviceOf returns the service of "/service/method".
func serviceOf(fullMethod string) (service string, ok bool) {
	rest, rooted := strings.CutPrefix(fullMethod, "/")
	service, method, cut := strings.Cut(rest, "/")
	return service, rooted && cut && isName(service) && isName(method)
}

// isName reports whether s is made of letters, digits, "_" and "-", with single
// dots between them. It leaves out what somebody on the way might decode, resolve
// or cut off: "%", "..", "?", "*", a second slash.
func isName(s string) bool {
	last := byte('.')
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		case c == '.' && last != '.':
		default:
			return false
		}
		last = c
	}
	return last != '.'
}
