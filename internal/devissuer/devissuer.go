// Package devissuer is the command devissuer, apart from its main functions: the
// issuer for development, with its configuration file, key file and banner. There
// are two of them, since the drivers of durable stores are in a module apart.
package devissuer

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/fetch"
)

// Main runs the command with its arguments until the process is told to stop and
// returns its exit code: 0 if it was stopped, 2 if the arguments are wrong, 1 for
// any other failure. With stores, which may be nil, it has the flag -store.
func Main(args []string, stores *Stores) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	o, err := parseFlags(args, stores, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // the flag package said why
	}
	if err := run(ctx, o, stores, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "devissuer: %v\n", err)
		return 1
	}
	return 0
}

type options struct {
	addr, issuer, config, keys, store string
	register                          bool
}

func parseFlags(args []string, stores *Stores, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("devissuer", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:9000", "listen on this `host:port`, and nowhere else; port 0 is any free one")
	fs.StringVar(&o.issuer, "issuer", "", "the issuer's `URL`, if it is not http:// and the address")
	fs.StringVar(&o.config, "config", "", "read issuer, clients, users and resources from this JSON `file`")
	fs.StringVar(&o.keys, "keys", "", "keep the signing key in this `file` (PEM, PKCS #8, or a private JWK), made if it is not there")
	fs.BoolVar(&o.register, "register", false, "let any client register itself (RFC 7591), or be known by a client ID metadata document")
	if stores != nil {
		fs.Func("store", stores.Usage, func(name string) error {
			if o.store = name; name == "" {
				return errors.New("names none; without the flag all is kept in memory")
			}
			return nil
		})
	}
	fs.Usage = func() {
		_, _ = fmt.Fprintf(stderr, "Usage of devissuer:\n")
		fs.PrintDefaults()
		_, _ = fmt.Fprint(stderr, fileFormat)
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case fs.NArg() > 0:
		err = fmt.Errorf("devissuer: unexpected argument %q", withoutPassword(fs.Arg(0)))
	case o.store != "" && o.keys != "":
		err = errors.New("devissuer: -keys: with -store the signing keys are in the store")
	default:
		return o, nil
	}
	_, _ = fmt.Fprintf(stderr, "%v\n", err)
	fs.Usage()
	return o, err
}

// fileFormat is what help says about the configuration file.
const fileFormat = `
The configuration file is one JSON object:

  {"resources": ["https://api.example.com"],
   "clients": [
     {"client_id": "app", "client_secret": "s3cret", "grant_types": ["client_credentials"], "scope": "a b"},
     {"client_id": "api", "client_secret": "s3cret"}],
   "users": [{"sub": "1", "username": "alice", "password": "wonderland"}]}

A client without grant_types is an API: it introspects tokens. A client without
an audience has all resources. Without a file there are clients and a user to try
it with.
"go doc github.com/countermark/countermark/authserver/cmd/devissuer" says more.
`

func run(ctx context.Context, o options, stores *Stores, stdout, stderr io.Writer) (err error) {
	warn := func(format string, args ...any) {
		_, _ = fmt.Fprintf(stderr, "devissuer: warning: "+format+"\n", args...)
	}

	var cfg *Config
	if o.config != "" {
		if cfg, err = Load(o.config); err != nil {
			return err
		}
	}
	kept, err := o.open(ctx, stores, warn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; -addr 127.0.0.1:0 takes any port that is free", err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	local := fetch.IsLoopback(host(listener.Addr().String()))
	if !local {
		warn("%s can be reached from outside; this issuer is for development", listener.Addr())
	}
	if cfg == nil {
		cfg = seeds(local)
	}
	for _, note := range cfg.notes() {
		warn("%s", note)
	}

	issuer := cmp.Or(o.issuer, cfg.Issuer)
	if issuer == "" {
		if issuer, err = issuerAt(o.addr, listener.Addr().String()); err != nil {
			return err
		}
	}
	handler := slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
	made := authserver.Config{
		Issuer: issuer, Clients: cfg.registered(), Users: cfg.people(), Store: kept.store, Keys: kept.keys, Logger: slog.New(handler),
	}
	if made.Development = local && isLocal(issuer); !made.Development { // whose pages say so
		made.Pages.Name = "Development issuer"
	}
	if o.register {
		if !local {
			return errors.New("-register: is for a loopback address: anybody could register who gets here")
		}
		if err := cfg.onboard(&made); err != nil {
			return err
		}
	}
	srv, err := authserver.New(made)
	if err != nil {
		return o.located(err)
	}
	if !reaches(issuer, listener.Addr().String()) {
		warn("the issuer is %s and it listens on %s: clients find it only if something passes the one on to the other", issuer, listener.Addr())
	}
	if err := printBanner(stdout, listener.Addr().String(), issuer, cfg, kept.where); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           srv,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(handler, slog.LevelWarn),
	}
	if local {
		server.Handler = localOnly(srv, issuer)
	}
	return serve(ctx, server, listener)
}

// serve serves until ctx ends, and then for as long as the requests take that
// are under way, within reason.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	ended := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(ended)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if server.Shutdown(ending) != nil {
			_ = server.Close()
		}
	})()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}

// issuerAt returns the issuer URL for what was asked to listen on, with the port
// that came of it.
func issuerAt(asked, got string) (string, error) {
	name := host(asked)
	if ip := net.ParseIP(name); name == "" || ip != nil && ip.IsUnspecified() {
		name = "localhost"
	}
	if !fetch.IsLoopback(name) {
		return "", fmt.Errorf("-addr %s is not a loopback address: say by -issuer under which https URL it is reached", asked)
	}
	_, port, err := net.SplitHostPort(got)
	if err != nil {
		return "", err
	}
	return "http://" + net.JoinHostPort(name, port), nil
}

// isLocal reports whether an issuer is for this machine alone.
func isLocal(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && fetch.IsLoopback(u.Hostname())
}

// reaches reports whether what asks at the issuer's URL gets to the listener by
// itself.
func reaches(issuer, listening string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "http" {
		return false
	}
	name, port, err := net.SplitHostPort(listening)
	if err != nil || port != cmp.Or(u.Port(), "80") {
		return false
	}
	own, asked := net.ParseIP(name), net.ParseIP(u.Hostname())
	return own.IsUnspecified() || asked.Equal(own) || asked == nil && own.IsLoopback() // localhost
}

// userFields are the fields of a user as the members of the file are called.
var userFields = strings.NewReplacer("].Subject: ", "].sub: ", "].Username: ", "].username: ", "].PasswordHash: ", "].password_hash: ")

// located returns an error about the issuer's configuration as one about where
// the user wrote it.
func (o options) located(err error) error {
	rest, ok := strings.CutPrefix(err.Error(), "authserver: Config.")
	place, file := "", o.config
	switch {
	case !ok:
		return err
	case strings.HasPrefix(rest, "Issuer") && o.issuer != "":
		place, file = "-issuer", ""
		rest = strings.TrimPrefix(rest, "Issuer: ")
	case strings.HasPrefix(rest, "Issuer"), strings.HasPrefix(rest, "Clients"), strings.HasPrefix(rest, "Users"):
		rest = strings.ToLower(rest[:1]) + rest[1:] // as the member is called
		rest = strings.Replace(rest, "): Secret: ", "): client_secret: ", 1)
		rest = userFields.Replace(rest)
	case strings.HasPrefix(rest, "Keys"):
		file = o.keys
	}
	if place = cmp.Or(file, place); place == "" {
		return err
	}
	return fmt.Errorf("%s: %s", place, rest)
}

// localOnly keeps out the pages of other sites that have a name of theirs
// resolve to this machine (DNS rebinding): they could read the answers.
func localOnly(next http.Handler, issuer string) http.Handler {
	own := ""
	if u, err := url.Parse(issuer); err == nil {
		own = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := host(r.Host); !fetch.IsLoopback(name) && !strings.EqualFold(name, own) {
			http.Error(w, "this host is not served here", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// host returns an address without its port, if it has one.
func host(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return strings.Trim(addr, "[]")
}
