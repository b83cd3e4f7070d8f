package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/countermark/countermark/authserver"
)

func TestPoint16_SameAnswerForUnknownNamesAndWrongPasswords(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signIn := b.authorize(authParams(web))
	look := func(username, password string) string {
		s := b.submit(signIn, "username", username, "password", password)
		s.header.Del("Date")
		s.header.Del("Content-Length")
		return fmt.Sprint(s.status, s.header, strings.ReplaceAll(string(s.body), username, "NAME"))
	}
	want := look("alice", "wrong")
	for _, c := range [][2]string{{"nobody", "wrong"}, {"nobody", "alice-password"}, {"nobody", "bob-password"}, {"Alice", "alice-password"}, {"alice ", "alice-password"}, {"bob", strings.Repeat("x", 2000)}} {
		if got := look(c[0], c[1]); got != want {
			t.Errorf("%s: %s\nnot %s", c[0], got, want)
		}
	}
	if s := b.submit(signIn, "username", "", "password", ""); s.status != 200 || !strings.Contains(s.text, "is wrong") {
		t.Errorf("nothing filled in: %d %s", s.status, s.text)
	}
}

// For a name that nobody has, somebody's password is hashed all the same.
func TestPoint16_SameTimeForUnknownNamesAndWrongPasswords(t *testing.T) {
	t.Parallel()
	slow, err := bcrypt.GenerateFromPassword([]byte("x"), 8)
	if err != nil {
		t.Fatal(err)
	}
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = []authserver.User{{Subject: "1", Username: "slow", PasswordHash: string(slow)}}
	})
	b := i.browser()
	signIn := b.authorize(authParams(web))
	took := func(username string) time.Duration {
		least := time.Hour
		for range 3 {
			began := time.Now()
			if s := b.submit(signIn, "username", username, "password", "wrong"); !strings.Contains(s.text, "is wrong") {
				t.Fatalf("%d %s", s.status, s.text)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	known, unknown := took("slow"), took("nobody")
	if unknown < known/5 || known < unknown/5 { // a page without a hash takes a twentieth
		t.Errorf("%v for a known name, %v for an unknown one", known, unknown)
	}
}

func TestPoint16_GuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alice", "nobody"} {
		i := startWeb(t, "")
		b := i.browser()
		signIn := b.authorize(authParams(web))
		try := func(username, password string) *screen {
			return b.submit(signIn, "username", username, "password", password)
		}
		for range 10 {
			if s := try(name, "wrong"); s.status != 200 {
				t.Fatalf("%d", s.status)
			}
		}
		for _, variant := range []string{name, strings.ToUpper(name), " " + name} {
			s := try(variant, name+"-password")
			if wait, _ := strconv.Atoi(s.header.Get("Retry-After")); s.status != 429 || wait < 1 || wait > 30 || !strings.Contains(s.text, "Too many") {
				t.Errorf("%s: %d, Retry-After %q", variant, s.status, s.header.Get("Retry-After"))
			}
		}
		if s := try("bob", "bob-password"); s.status != 303 {
			t.Errorf("bob is locked out too: %d", s.status)
		}
		signIn = b.authorize(authParams(web, "prompt", "login"))
		i.clock.Advance(30 * time.Second)
		if s := try(name, "wrong"); s.status != 200 {
			t.Errorf("after the wait: %d", s.status)
		}
		if s := try(name, "wrong"); s.status != 429 {
			t.Errorf("and at once again: %d", s.status)
		}
		i.clock.Advance(5 * time.Minute)
		if s := try("alice", "alice-password"); s.status != 303 {
			t.Errorf("the right password after a while: %d", s.status)
		}
	}
}

func TestPoint16_AnAddressIsSlowedDown(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signIn := b.authorize(authParams(web))
	for n := range 50 {
		if s := b.submit(signIn, "username", fmt.Sprint("name", n), "password", "x"); s.status != 200 {
			t.Fatalf("%d: %d", n, s.status)
		}
	}
	if s := b.submit(signIn, "username", "one more", "password", "x"); s.status != 429 || s.header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", s.status, s.header.Get("Retry-After"))
	}
}

func TestPoint16_WhoIsAtHomeIsNotKeptOut(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	i.from.Store("192.0.2.1:1")
	home, attacker := i.browser(), i.browser()
	if s := home.grant(authParams(portal)); !s.response().Has("code") {
		t.Fatal(s.status)
	}
	i.from.Store("198.51.100.1:1")
	guess := attacker.authorize(authParams(web))
	var s *screen
	for range 11 {
		s = attacker.submit(guess, "username", "alice", "password", "wrong")
	}
	if s.status != 429 {
		t.Fatalf("the attacker: %d", s.status)
	}
	i.from.Store("192.0.2.1:4711")
	again := home.authorize(authParams(portal, "prompt", "login"))
	if s := home.submit(again, "username", "alice", "password", "alice-password"); s.status != 303 {
		t.Errorf("alice at home: %d", s.status)
	}
}

// Who tries again while the directory is down has not guessed.
func TestPoint16_AnOutageIsNoFailure(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = nil
		c.Login = func(context.Context, string, string) (authserver.User, error) {
			if down.Load() {
				return authserver.User{}, errors.New("the directory is down")
			}
			return authserver.User{Subject: "sub-of-carol"}, nil
		}
	})
	down.Store(true)
	b := i.browser()
	signIn := b.authorize(authParams(portal))
	for range 60 {
		if s := b.submit(signIn, "username", "carol", "password", "x"); s.status != 503 {
			t.Fatalf("%d %s", s.status, s.body)
		}
	}
	down.Store(false)
	if s := b.submit(signIn, "username", "carol", "password", "x"); s.status != 303 {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func TestPoint16_TheEmbeddersLogin(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	i := startWeb(t, "", func(c *authserver.Config) {
		c.Users = nil
		c.Login = func(_ context.Context, username, password string) (authserver.User, error) {
			calls.Add(1)
			switch {
			case username == "down":
				return authserver.User{}, errors.New("the directory is down")
			case username == "odd":
				return authserver.User{}, nil
			case username != "carol" || password != "carol-password":
				return authserver.User{}, fmt.Errorf("ldap: %w", authserver.ErrBadCredentials)
			}
			return authserver.User{Subject: "sub-of-carol"}, nil
		}
	})
	b := i.browser()
	signIn := b.authorize(authParams(portal))
	for username, status := range map[string]int{"carol": 200, "dave": 200, "down": 503, "odd": 500} {
		if s := b.submit(signIn, "username", username, "password", "x"); s.status != status || strings.Contains(string(s.body), "directory is") {
			t.Errorf("%s: %d %s", username, s.status, s.body)
		}
	}
	s := b.signIn(signIn, "carol")
	if _, payload := parts(t, i.redeem(portal, s.response().Get("code")).member("access_token")); payload["sub"] != "sub-of-carol" {
		t.Error(payload)
	}
	before := calls.Load()
	signIn = b.authorize(authParams(portal, "prompt", "login"))
	statuses := []int{}
	for range 11 {
		statuses = append(statuses, b.submit(signIn, "username", "dave", "password", "x").status)
	}
	if !slices.Contains(statuses, 429) || calls.Load()-before > 9 {
		t.Errorf("%v, %d calls", statuses, calls.Load()-before)
	}
}

// Who has an IPv6 network has more addresses than anybody can count: it is one.
func TestPoint16_AnIPv6NetworkIsSlowedDown(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	b := i.browser()
	signIn := b.authorize(authParams(web))
	try := func(n int, from string) int {
		i.from.Store(from)
		return b.submit(signIn, "username", fmt.Sprint("name", n), "password", "x").status
	}
	for n := range 50 {
		if status := try(n, fmt.Sprintf("[2001:db8:1:2:%x::1%%eth0]:1", n)); status != 200 {
			t.Fatalf("%d: %d", n, status)
		}
	}
	if status := try(50, "[2001:db8:1:2:ffff::1]:1"); status != 429 {
		t.Errorf("the same network: %d", status)
	}
	if status := try(51, "[2001:db8:1:3::1]:1"); status != 200 {
		t.Errorf("another network: %d", status)
	}
	for n := range 50 {
		try(100+n, "192.0.2.1:1")
	}
	if status := try(52, "[::ffff:192.0.2.1]:1"); status != 429 {
		t.Errorf("an IPv4 address, written as an IPv6 one: %d", status)
	}
}
