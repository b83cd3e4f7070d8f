package devissuer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/countermark/countermark/authserver"
)

// onboard lets clients in that the file does not name: by registering themselves,
// or by the documents that their client_id leads to. They may have what the file's
// clients have between them, if a person lets them.
func (c *Config) onboard(to *authserver.Config) error {
	audience, scope := c.Resources, []string{}
	for _, client := range c.Clients {
		if len(c.Resources) == 0 {
			audience = slices.Concat(audience, client.Audience)
		}
		if len(client.GrantTypes) > 0 {
			scope = slices.Concat(scope, strings.Fields(client.Scope))
		}
	}
	slices.Sort(scope)
	policy := authserver.ClientPolicy{
		Scope:       strings.Join(slices.Compact(scope), " "),
		Audience:    slices.Compact(slices.Sorted(slices.Values(audience))),
		GrantTypes:  []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		AuthMethods: []string{"none", "private_key_jwt"},
	}
	switch {
	case len(c.Users) == 0:
		return errors.New("-register: there are no users, who would let clients in")
	case len(policy.Audience) == 0:
		return errors.New("-register: there are no resources that clients could get tokens for")
	}
	c.registers = true
	to.ClientIDMetadataDocuments = &authserver.ClientIDMetadataDocuments{Policy: policy}
	policy.AuthMethods = append(policy.AuthMethods, "client_secret_basic", "client_secret_post")
	to.Registration = &authserver.Registration{
		Authorize: func(context.Context, string) (bool, error) { return true, nil },
		Policy:    policy,
	}
	return nil
}
