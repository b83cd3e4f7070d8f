package authserver

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
)

// ClientIDMetadataDocuments lets in clients that are not registered anywhere
// (draft-ietf-oauth-client-id-metadata-document-01): their client_id is an https
// URL, and what is there says what they are. It is fetched from a public address
// only, without redirects, and kept for as long as its Cache-Control says, within a
// minute and a day. An issuer on loopback takes http URLs on loopback, too.
//
// A document is for all servers there are. So what goes beyond the policy, of scope
// and grant_types, does not make it void: the client has the rest. Without
// token_endpoint_auth_method the client is a public one. A client that is registered
// under such a URL, here or in the Store, is what it is registered as.
//
// Whoever names a URL has the server ask there: one fetch at a time for each, 2 for a
// host and 16 for all, none longer than 5 seconds, and after one that failed none for
// 5 seconds. A document that cannot be fetched again, since its host fails or no place
// is free, counts for an hour longer than it would; one that its host takes back, or
// spoils, is gone at once. Hosts that hang can keep others out that the server has not
// met in that time, if there are enough of them, and names are cheap. Against that, and
// for how often somebody may, there are Hosts and a limit in front of the server.
type ClientIDMetadataDocuments struct {
	// Hosts are the hosts whose documents are taken, as in app.example or
	// app.example:8443: with the port if the URL has it, in lower case. Empty means
	// any.
	Hosts []string
	// Policy is what such clients may have at most.
	Policy ClientPolicy
}

// newDocuments checks d. An error begins with what follows the field of Config. If
// the issuer is local, on loopback, so may be a URL, by http.
func newDocuments(d *ClientIDMetadataDocuments, local bool) (*documents, error) {
	n := &documents{hosts: slices.Clone(d.Hosts), local: local}
	for i, h := range n.hosts {
		u, err := url.Parse("https://" + h)
		if err != nil || u.Host != h || h == "" || h != strings.ToLower(h) || checkHost(u) != nil {
			return nil, fmt.Errorf(".Hosts[%d]: must be a host in lower case, with the port if it is not the default one", i)
		}
	}
	var err error
	n.policy, err = newClientPolicy(&d.Policy, []string{authNone, privateKeyJWT})
	return n, err
}

// covers reports whether there can be a client with that ID: section 3 has what the
// URL may be.
func (d *documents) covers(id string) bool {
	if d == nil || !isClientID(id) || fetch.CheckURL(id) != nil {
		return false
	}
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "https" && !d.local || u.Path == "" || checkHost(u) != nil {
		return false
	}
	dots := func(segment string) bool { return segment == "." || segment == ".." }
	return !slices.ContainsFunc(strings.Split(u.Path, "/"), dots) && (len(d.hosts) == 0 || slices.Contains(d.hosts, u.Host))
}

// client returns the client that the document at id describes (section 4.1).
func (d *documents) client(id string, document []byte) (*Client, error) {
	m, err := parseClientMetadata(document)
	switch {
	case err != nil:
		return nil, err
	case m.ClientID != id:
		return nil, errors.New("client_id: is not the URL of the document")
	case m.ClientSecret != nil || m.SecretExpiry != nil:
		return nil, errors.New("client_secret, client_secret_expires_at: must not be in a document that anybody can read")
	case m.ResponseTypes != nil && !slices.Contains(m.ResponseTypes, responseTypeCode):
		return nil, errors.New("response_types: code is not there")
	}
	if m.TokenEndpointAuthMethod == "" {
		m.TokenEndpointAuthMethod = authNone
	}
	if !slices.Contains(d.policy.methods, m.TokenEndpointAuthMethod) {
		return nil, errors.New("token_endpoint_auth_method: must be one of " + strings.Join(d.policy.methods, ", "))
	}
	if m.GrantTypes = common(m.GrantTypes, d.policy.grants); len(m.GrantTypes) == 0 {
		return nil, errors.New("grant_types: has none of " + strings.Join(d.policy.grants, ", "))
	}
	c, err := newStoredClient(m.client(id, d.policy), parseKeys)
	if err != nil {
		return nil, err
	}
	d.policy.hold(c)
	return &c.Client, nil
}
