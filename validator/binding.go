package validator

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/countermark/countermark/internal/dpop"
	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// confirmation is the cnf claim (RFC 7800 section 3): the key that whoever shows
// the token must show as well.
type confirmation struct {
	method     confirmationMethod
	thumbprint [sha256.Size]byte
}

type confirmationMethod int

const (
	confirmUnknown confirmationMethod = iota // another method, or several: nobody here can confirm it
	confirmJWK                               // jkt: a DPoP key, RFC 9449 section 6
	confirmX509                              // x5t#S256: a client certificate, RFC 8705 section 3.1
)

func parseConfirmation(val strictjson.Value) *confirmation {
	found := new(confirmation)
	members := 0
	err := strictjson.Object(string(val), func(name string, val strictjson.Value) error {
		members++
		switch name {
		case "jkt":
			found.method = confirmJWK
		case "x5t#S256":
			found.method = confirmX509
		}
		text, _ := val.Text()
		thumbprint, err := jose.Decode(nil, text)
		if err != nil || len(thumbprint) != sha256.Size {
			return errWrongType
		}
		found.thumbprint = [sha256.Size]byte(thumbprint)
		return nil
	})
	if err != nil || members != 1 || found.method == confirmUnknown {
		return new(confirmation)
	}
	return found
}

func (c *confirmation) is(thumbprint [sha256.Size]byte) bool {
	return subtle.ConstantTimeCompare(c.thumbprint[:], thumbprint[:]) == 1
}

// challenged names in err, the refusal of c, the schemes that the client may use.
func (c *Credentials) challenged(err error, bindingRequired bool) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || len(e.Schemes) > 0 || !c.isDPoP() && !bindingRequired {
		return err
	}
	named := *e // e may be the caller's own, from Check
	named.Schemes = []string{"DPoP"}
	if !c.isDPoP() {
		named.Schemes = []string{"Bearer", "DPoP"} // Bearer with a certificate; first, as some clients read one alone
	}
	return &named
}

// checkBinding refuses a bound token whose key was not shown. A bound token
// never passes as bearer, an unbound one never as DPoP (RFC 9449 section 7.1),
// which comes with a proof to spend: nil for the others.
func (v *Validator) checkBinding(t *Token, c *Credentials) (*dpop.Proof, error) {
	if t.bound == nil {
		if c.isDPoP() || v.cfg.RequireBinding {
			return nil, NewError(ErrBinding, "the token is not bound")
		}
		return nil, nil //nolint:nilnil // there is none to spend
	}
	switch t.bound.method {
	case confirmX509:
		if c.isDPoP() || c.Certificate == nil || !t.bound.is(sha256.Sum256(c.Certificate.Raw)) {
			return nil, NewError(ErrBinding, "not the client certificate of the token")
		}
		return nil, nil //nolint:nilnil // as above
	case confirmJWK:
		if !c.isDPoP() {
			e := NewError(ErrBinding, "a DPoP-bound token shown as bearer")
			e.Schemes = []string{"DPoP"}
			return nil, e
		}
		return v.checkProof(t, c)
	default:
		return nil, NewError(ErrBinding, "cnf: unknown, or more than one")
	}
}
