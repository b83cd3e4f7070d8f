package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"runtime"

	"github.com/countermark/countermark/internal/fetch"
)

// A User is a person who can sign in. It prints as its Subject alone.
type User struct {
	// Subject is what tokens call the person, their sub: never given to anybody
	// else, and not the client_id of a client (RFC 9068 section 5). It is one to
	// 255 printable ASCII characters. Required.
	Subject string
	// Username is what the person signs in with. Required.
	Username string
	// PasswordHash is the hash of the person's password: Argon2id, such as
	// [HashPassword] makes, or bcrypt. Required in [Config.Users]. JSON has none.
	PasswordHash string `json:"-"`
	// Claims are what is known of the person, by the names of OpenID Connect Core
	// section 5.1, each a value that encoding/json can write. No token holds them:
	// the userinfo endpoint tells a client those that the scopes profile, email,
	// address and phone stand for (section 5.4), and no others. Sub is the Subject,
	// whatever they say.
	Claims map[string]any
}

// String names the user by the Subject.
func (u User) String() string { return "authserver.User(" + u.Subject + ")" }

// Format writes String, whatever the verb.
func (u User) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue is String, for log/slog.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

// ErrBadCredentials says that there is no user of that name, or that the password
// is another: a [Config.Login] that told which would tell everybody who has an
// account.
var ErrBadCredentials = errors.New("wrong name or password")

const (
	maxSubject  = 255
	maxUsername = 255 // bytes
)

// A loginFunc is as [Config.Login].
type loginFunc = func(ctx context.Context, username, password string) (User, error)

// openSignIn makes what it takes for people to sign in, if any can.
func (s *Server) openSignIn(cfg *Config, issuer *url.URL) error {
	switch {
	case cfg.Development && !fetch.IsLoopback(issuer.Hostname()):
		return errors.New("authserver: Config.Development: is for an Issuer on a loopback host, since people sign in without a password")
	case cfg.Login != nil && len(cfg.Users) > 0:
		return errors.New("authserver: Config.Login: is in place of Users; set one of the two")
	case cfg.FindUser != nil && cfg.Login == nil:
		return errors.New("authserver: Config.FindUser: goes with Login; Users are found by themselves")
	case cfg.Login != nil:
		s.login, s.findUser = cfg.Login, cfg.FindUser
	case len(cfg.Users) > 0:
		p, err := newPeople(cfg.Users)
		if err != nil {
			return err
		}
		for i, u := range cfg.Users {
			if s.clients[u.Subject] != nil {
				return fmt.Errorf("authserver: Config.Users[%d].Subject: is the client_id of a client", i)
			}
		}
		s.login, s.findUser, s.subjects = p.login, p.find, p.subjects
		if cfg.Development {
			s.seeded = p
		}
	default:
		return nil
	}
	var err error
	if s.pages, err = newPages(&cfg.Pages, issuer, cfg.Development); err != nil {
		return err
	}
	s.throttle, s.guesses, s.cookie = newThrottle(), newThrottle(), cookieName(s.issuer)
	return nil
}

// people are the users of the configuration.
type people struct {
	byName   map[string]*person
	subjects map[string]*person
	all      []*person
	seed     maphash.Seed
	busy     chan struct{} // one place for each password that may be hashed at a time
}

type person struct {
	User
	password passwordHash
}

// newPeople checks users and copies them.
func newPeople(users []User) (*people, error) {
	p := &people{
		byName:   make(map[string]*person, len(users)),
		subjects: make(map[string]*person, len(users)),
		seed:     maphash.MakeSeed(),
		busy:     make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	for i, u := range users {
		password, err := parsePasswordHash(u.PasswordHash)
		field := "PasswordHash"
		switch {
		case !isSubject(u.Subject):
			field, err = "Subject", fmt.Errorf("must be 1 to %d printable ASCII characters", maxSubject)
		case u.Username == "" || len(u.Username) > maxUsername:
			field, err = "Username", fmt.Errorf("must be 1 to %d bytes", maxUsername)
		case p.subjects[u.Subject] != nil:
			field, err = "Subject", errors.New("another user has it too")
		case p.byName[u.Username] != nil:
			field, err = "Username", errors.New("another user has it too")
		}
		if _, unwritable := json.Marshal(u.Claims); err == nil && unwritable != nil {
			field, err = "Claims", unwritable
		}
		if err != nil {
			return nil, fmt.Errorf("authserver: Config.Users[%d].%s: %w", i, field, err)
		}
		u.Claims = maps.Clone(u.Claims)
		one := &person{User: u, password: password}
		p.subjects[u.Subject], p.byName[u.Username] = one, one
		p.all = append(p.all, one)
	}
	return p, nil
}

// user returns the person with a subject, or ErrNotFound if there is nobody any
// more. Of [Config.Login] without FindUser nothing is known but the subject.
func (s *Server) user(ctx context.Context, subject string) (User, error) {
	if s.findUser == nil {
		return User{Subject: subject}, nil
	}
	u, err := s.findUser(ctx, subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return User{}, ErrNotFound
	case err != nil:
		r := refuse(temporarilyUnavailable, "nobody can tell who the person is now")
		r.cause = err
		return User{}, r
	case u.Subject != subject: // as from a database that compares without regard to case
		return User{}, errors.New("Config.FindUser: returned a User with another Subject")
	default:
		return u, nil
	}
}

// isGone reports whether a subject is that of nobody any more, for all that is
// known: who has left has no use of a session, nor anybody of what they let clients
// do.
func (s *Server) isGone(ctx context.Context, subject string) (bool, error) {
	switch _, err := s.user(ctx, subject); {
	case errors.Is(err, ErrNotFound):
		return true, nil
	default:
		return false, err
	}
}

// isClient reports whether a subject is the client_id of a client: an API would
// take one for the other (RFC 9068 section 5).
func (s *Server) isClient(ctx context.Context, subject string) (bool, error) {
	switch _, err := s.registered(ctx, subject); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	default:
		return err == nil, err
	}
}

func isSubject(s string) bool { return s != "" && len(s) <= maxSubject && printable(s) }

// login is a [Config.Login]. For an unknown name somebody's password is checked
// all the same, always the same one's, so that how long it takes tells nothing.
func (p *people) login(ctx context.Context, username, password string) (User, error) {
	one, known := p.byName[username]
	if !known {
		one = p.all[maphash.String(p.seed, username)%uint64(len(p.all))]
	}
	select { // hashes take much memory
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
		return User{}, ctx.Err()
	}
	if right := one.password(password); !right || !known {
		return User{}, ErrBadCredentials
	}
	return one.User, nil
}

// find is a [Config.FindUser].
func (p *people) find(_ context.Context, subject string) (User, error) {
	if one, known := p.subjects[subject]; known {
		return one.User, nil
	}
	return User{}, ErrNotFound
}

// byButton is a [Config.Login] for development, in which a name is enough.
func (p *people) byButton(_ context.Context, username, _ string) (User, error) {
	if one, known := p.byName[username]; known {
		return one.User, nil
	}
	return User{}, ErrBadCredentials
}

// names returns the names of all, in their order.
func (p *people) names() []string {
	names := make([]string, len(p.all))
	for i, one := range p.all {
		names[i] = one.Username
	}
	return names
}
