package authserver_test

import (
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// knows reports whether somebody can sign in with a password, given its hash.
func knows(t *testing.T, hash, password string) bool {
	t.Helper()
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = []authserver.User{{Subject: "1", Username: "u", PasswordHash: hash}}
	})
	b := i.browser()
	return b.submit(b.authorize(authParams(portal)), "username", "u", "password", password).status == 303
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	one, two := authserver.HashPassword("pässword"), authserver.HashPassword("pässword")
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %s", one, two)
	}
	if !knows(t, one, "pässword") || knows(t, one, "password") || knows(t, one, "") {
		t.Error("the hash does not tell passwords apart")
	}
	if long := strings.Repeat("x", 1025); !knows(t, authserver.HashPassword(long[1:]), long[1:]) || knows(t, authserver.HashPassword(long), long) {
		t.Error("a password has 1024 bytes at most")
	}
	if empty := authserver.HashPassword(""); knows(t, empty, "x") {
		t.Error("the hash of nothing takes anything")
	}
}

func TestPasswordHash_OfOtherPrograms(t *testing.T) {
	t.Parallel()
	for name, hash := range map[string]string{
		"the argon2 command": "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"htpasswd -B":        "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe",
	} {
		if !knows(t, hash, "password") || knows(t, hash, "Password") {
			t.Errorf("%s: does not tell passwords apart", name)
		}
	}
}

func TestPasswordHash_IsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	for _, hash := range []string{
		"", "password", "$1$salt$hash", "$2a$", "$2a$99$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=101,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=64,t=1,p=1$c29tc2E$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6M", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ==$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=064,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=64,t=1,p=1,x$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Users: []authserver.User{{Subject: "1", Username: "u", PasswordHash: hash}}})
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.Users[0].PasswordHash: ") || hash != "" && strings.Contains(err.Error(), hash) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}
