package devissuer

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/countermark/countermark/internal/fetch"
)

// printBanner says what there is, the signing key being where keys says, and how
// to try it.
func printBanner(w io.Writer, addr, issuer string, cfg *Config, keys string) error {
	clients := cfg.Clients
	base := strings.TrimSuffix(issuer, "/")
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("Countermark, an issuer for development\n\n")
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	rows := [][2]string{{"Listening on", addr}, {"Issuer", issuer}}
	if len(cfg.Users) > 0 {
		rows = append(rows, [2]string{"Authorization", base + "/authorize"}, [2]string{"Pushed requests", base + "/par"})
	}
	if cfg.registers {
		rows = append(rows, [2]string{"Registration", base + "/register"})
	}
	for _, row := range append(rows, [][2]string{
		{"Token", base + "/token"},
		{"Introspection", base + "/introspect"},
		{"Revocation", base + "/revoke"},
		{"Key set", base + "/jwks"},
		{"Metadata", u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.EscapedPath()},
		{"Signing key", keys},
	}...) {
		_, _ = fmt.Fprintf(table, "  %s\t%s\n", row[0], row[1])
	}
	_ = table.Flush()
	if len(clients) > 0 {
		out.WriteString("\n")
		_, _ = fmt.Fprint(table, "  Client\tSecret\tScope\tAudience\n")
		for _, c := range clients {
			scope := c.Scope
			if len(c.GrantTypes) == 0 {
				scope = "(introspects tokens)"
			}
			_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", c.ClientID, visible(c.ClientSecret), scope, strings.Join(c.Audience, " "))
		}
		_ = table.Flush()
	}
	if len(cfg.Users) > 0 {
		printRedirects(&out, table, clients)
	}
	if len(cfg.Users) > 0 && fetch.IsLoopback(u.Hostname()) {
		out.WriteString("\n")
		_, _ = fmt.Fprint(table, "  User\tPassword\tSubject\n")
		for _, user := range cfg.Users {
			password := visible(user.Password)
			if user.Password == "" {
				password = "(hashed)"
			}
			_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", visible(user.Username), password, visible(user.Sub))
		}
		_ = table.Flush()
	}
	if line := curl(base, clients); line != "" {
		out.WriteString("\nGet a token:\n\n  " + line + "\n")
		if line := curlIntrospect(base, clients); line != "" {
			out.WriteString("\nAsk about it, as an API does, with the access_token in TOKEN:\n\n  " + line + "\n")
		}
	}
	out.WriteString("\nCtrl-C stops it.\n\n")
	_, err = w.Write(out.Bytes())
	return err
}

// printRedirects says where clients may have people sent back to, if any may: who
// tries one has to listen there.
func printRedirects(out *bytes.Buffer, table *tabwriter.Writer, clients []Client) {
	heading, note := "\n  Client\tSends people back to\n", ""
	for _, c := range clients {
		if len(c.RedirectURIs) == 0 {
			continue
		}
		list := strings.Join(c.RedirectURIs, " ")
		_, _ = fmt.Fprintf(table, "%s  %s\t%s\n", heading, c.ClientID, list)
		heading = ""
		if strings.Contains(list, "http://127.0.0.1") || strings.Contains(list, "http://[::1]") {
			note = "  On 127.0.0.1 and [::1] any port will do.\n"
		}
	}
	_ = table.Flush()
	out.WriteString(note)
}

// curl returns the command that gets a token for the first client that can have
// one by its secret; empty if there is none.
func curl(base string, clients []Client) string {
	i := slices.IndexFunc(clients, func(c Client) bool {
		return c.sendsSecret() && slices.Contains(c.GrantTypes, "client_credentials") && len(c.Audience) > 0
	})
	if i < 0 {
		return ""
	}
	return "curl -sS " + login(clients[i]) + " -d grant_type=client_credentials " + quoted(base+"/token")
}

// curlIntrospect returns the command by which the first resource server with a
// secret asks about a token; empty if there is none.
func curlIntrospect(base string, clients []Client) string {
	i := slices.IndexFunc(clients, func(c Client) bool { return c.sendsSecret() && len(c.GrantTypes) == 0 && len(c.Audience) > 0 })
	if i < 0 {
		return ""
	}
	return "curl -sS " + login(clients[i]) + ` -d token="$TOKEN" ` + quoted(base+"/introspect")
}

// sendsSecret reports whether curl can authenticate as the client.
func (c *Client) sendsSecret() bool {
	return slices.Contains([]string{"", "client_secret_basic", "client_secret_post"}, c.TokenEndpointAuthMethod)
}

// login returns the arguments by which curl authenticates as a client.
func login(c Client) string {
	id, secret := url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret) // RFC 6749 section 2.3.1
	if c.TokenEndpointAuthMethod == "client_secret_post" {
		return "-d " + quoted("client_id="+id) + " -d " + quoted("client_secret="+secret)
	}
	return "-u " + quoted(id+":"+secret)
}

var harmless = regexp.MustCompile(`^[A-Za-z0-9_./:%+=@-]+$`)

// quoted makes one word of s for a shell.
func quoted(s string) string {
	if harmless.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// visible shows a text that may be anything.
func visible(s string) string {
	if q := strconv.QuoteToASCII(s); q != `"`+s+`"` {
		return q
	}
	return s
}
