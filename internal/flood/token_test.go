package flood_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
	"github.com/countermark/countermark/internal/jose"
)

// unsigned returns a JWT with a signature that is nobody's. It takes no time worth
// mentioning: what a flood costs whoever makes it must not keep others waiting here.
func unsigned(header, claims string) string {
	return jose.Encode([]byte(header)) + "." + jose.Encode([]byte(claims)) + "." + signature
}

var signature = jose.Encode([]byte(strings.Repeat("countermark ", 6)[:64])) // as long as one of ES256

func header(kid string) string { return `{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}` }

func claims(issuer string) string {
	now := time.Now()
	return fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"user-1","client_id":"client-1","jti":"token-1","iat":%d,"exp":%d,"scope":"orders:read"}`,
		issuer, issuertest.API, now.Unix(), now.Add(time.Hour).Unix())
}
