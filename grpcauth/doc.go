// Package grpcauth guards the methods of a gRPC server with access tokens
// (RFC 6750). The validator that guards an HTTP API guards this one, by the same
// policy.
//
// A [Guard] is two interceptors. They take the token from the metadata
// "authorization", and from nowhere else; have the validator judge it; refuse a
// call that must not pass; and hand one that may to the handler, with the
// [validator.Token] in its context.
//
// # Policies
//
// What a call needs is the Requirement of its full method, "/shop.Orders/Cancel".
// Without one it is that of the service, "/shop.Orders/*"; without that either, it
// is Options.Default. A call for which there is none is refused, so a method that
// somebody adds is closed until somebody thinks of it. A name that is not well
// formed has no policy, not even the default. [Guard.Check] finds the methods that
// were forgotten.
//
// A method in Options.Public needs no token. One that is shown is not looked at,
// good or bad, and the handler finds none. A method's own entry counts before its
// service's, whichever of the two is public.
//
// Health checking and server reflection are services like any other. Probes have
// no token, so they want "/grpc.health.v1.Health/Check" to be public, and clients
// that watch the health of a server "/grpc.health.v1.Health/Watch". Reflection
// tells your whole API to whoever may call it: leave it out, name a scope for
// "/grpc.reflection.v1.ServerReflection/*" (and v1alpha, which older tools speak),
// or make it public, as the deployment has it.
//
// # Beside other interceptors
//
// What has to see every call comes before the guard: recovery, tracing, logging.
// What needs to know the client comes after it: authorization of one's own,
// validation of messages, limits per client.
//
//	grpc.NewServer(
//		grpc.ChainUnaryInterceptor(recovery, logging, guard.Unary, limits),
//		grpc.ChainStreamInterceptor(recoveryOfStreams, loggingOfStreams, guard.Stream, limitsOfStreams))
//
// # What a stranger costs
//
// The generated handler of a unary method decodes the message before interceptors
// run, so a stranger may have that done too. [grpc.MaxRecvMsgSize] bounds it: 4 MiB
// unless set. A stream is judged before any message of it is decoded. What runs
// sooner is [grpc.InTapHandle]: it must not wait, so it judges no token, but it can
// turn away calls that show none.
//
// # Refusals
//
// The status has an ErrorInfo with a constant reason and [Domain]; what the
// challenge has besides its error (scope, acr_values, max_age) is its metadata.
// The trailer "www-authenticate" has the challenges (RFC 6750 section 3). Why a
// call was refused goes to the log.
//
//	Unauthenticated    NO_TOKEN                          without an error
//	Unauthenticated    INVALID_TOKEN                     invalid_token
//	Unauthenticated    INSUFFICIENT_USER_AUTHENTICATION  insufficient_user_authentication, RFC 9470 section 3
//	Unauthenticated    INVALID_DPOP_PROOF                invalid_dpop_proof, RFC 9449 section 7.1
//	Unauthenticated    USE_DPOP_NONCE                    use_dpop_nonce, RFC 9449 section 9
//	InvalidArgument    INVALID_REQUEST                   invalid_request
//	PermissionDenied   INSUFFICIENT_SCOPE                insufficient_scope
//	PermissionDenied   FORBIDDEN                         no challenge: Config.Check of the validator said no
//	PermissionDenied   NO_POLICY                         no challenge
//	Unavailable        UNAVAILABLE                       no challenge, but RetryInfo: nobody knows whether the token is good
//
// Config.Check of the validator may refuse with a [validator.Error] that has a
// Status of its own. Then the code is that of the status, with RetryInfo where
// there is a RetryAfter:
//
//	404        NotFound           NOT_FOUND
//	409        Aborted            CONFLICT
//	429        ResourceExhausted  TOO_MANY_REQUESTS
//	other 4xx  PermissionDenied   FORBIDDEN
//	500        Internal           INTERNAL
//	other 5xx  Unavailable        UNAVAILABLE        with RetryInfo always
//
// If the caller left before anybody knew, it is Canceled or DeadlineExceeded
// without details. Under net/http ([grpc.Server.ServeHTTP]) there is no trailer
// "www-authenticate", as RFC 9110 section 6.5.1 keeps it out of trailers; the
// details tell what it would have said.
//
// # Streams
//
// A stream ends when its token expires, with Unauthenticated and INVALID_TOKEN:
// its context ends, no message passes any more, and the client hears of it after
// what was on its way already. Options.StreamGrace gives it longer. A token that
// the validator let in for its leeway, after its exp, opens a stream of 30 seconds.
// A public stream has no end, nor one whose token has no expiry. The token is
// judged once, so one that was revoked meanwhile serves its stream to the end.
//
// So that it ends on time, the handler has a goroutine of its own. One that heeds
// neither its context nor errors goes on when its stream is over, and nothing waits
// for it, not even [grpc.WaitForHandlers]. To an interceptor before the guard, a
// call of RecvMsg or SendMsg may return after the stream is over. A handler's panic
// reaches whoever recovers before the guard; after the end, only the log.
//
// # Bound tokens
//
// A token that is bound to a DPoP key comes with the scheme DPoP, and its proof in
// the metadata "dpop". What the proof names (RFC 9449 section 4.2) is that of the
// HTTP/2 request: POST as htm, and as htu the URL of the full method,
// "https://api.example.com/shop.Orders/Cancel". Options.URL tells it where a proxy
// changes scheme or host. Where a proof was refused for want of a nonce
// (USE_DPOP_NONCE), and only there, the trailer "dpop-nonce" has one for the next.
//
// A token that is bound to a certificate (RFC 8705 section 3) is held against that
// of the TLS connection. Have the server ask for one: [crypto/tls.RequestClientCert]
// is enough, as the token names the certificate, and whoever shows it has proved
// to hold its key.
package grpcauth
