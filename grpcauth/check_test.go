package grpcauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/validator"
)

// registered is a server with the test service and a health service.
func registered() *grpc.Server {
	srv := grpc.NewServer()
	pb.RegisterTestServiceServer(srv, new(service))
	healthpb.RegisterHealthServer(srv, health.NewServer())
	return srv
}

func TestCheck_NamesWhatHasNoPolicyAndWhatNobodyServes(t *testing.T) {
	t.Parallel()
	const healthService = "/grpc.health.v1.Health/*"
	for name, row := range map[string]struct {
		o    grpcauth.Options
		logs []string // level and method
		err  string
	}{
		"all is well": {
			o: grpcauth.Options{Methods: map[string]validator.Requirement{everyMethod: {}, unaryCall: {}}, Public: []string{healthService}},
		},
		"a default": {o: grpcauth.Options{Default: new(validator.Requirement)}},
		"two methods without a policy": {
			o:    grpcauth.Options{Methods: map[string]validator.Requirement{everyMethod: {}}, Public: []string{"/grpc.health.v1.Health/Check"}},
			logs: []string{"ERROR /grpc.health.v1.Health/List", "ERROR /grpc.health.v1.Health/Watch"},
			err:  "grpcauth: methods without a policy: /grpc.health.v1.Health/List, /grpc.health.v1.Health/Watch",
		},
		"policies for nothing": {
			o: grpcauth.Options{
				Methods: map[string]validator.Requirement{everyMethod: {}, otherMethods: {}, unaryCall + "2": {}},
				Public:  []string{healthService, "/grpc.health.v1.Health/Probe"},
			},
			logs: []string{"WARN " + "/grpc.health.v1.Health/Probe", "WARN " + otherMethods, "WARN " + unaryCall + "2"},
			err:  "grpcauth: policies for methods that are not registered: /grpc.health.v1.Health/Probe, " + otherMethods + ", " + unaryCall + "2",
		},
		"a misspelt method": {
			o: grpcauth.Options{
				Methods: map[string]validator.Requirement{everyMethod: {}},
				Public:  []string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/watch"},
			},
			logs: []string{"ERROR /grpc.health.v1.Health/Watch", "WARN /grpc.health.v1.Health/watch"},
			err: "grpcauth: methods without a policy: /grpc.health.v1.Health/Watch\n" +
				"grpcauth: policies for methods that are not registered: /grpc.health.v1.Health/watch",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			row.o.Logger = slog.New(slog.NewJSONHandler(&log, nil))
			err := newGuard(t, accepting(nil), &row.o).Check(registered())
			if fmt.Sprint(err) != row.err && (err != nil || row.err != "") {
				t.Errorf("%v\nwant %s", err, row.err)
			}
			var logs []string
			for decoder := json.NewDecoder(&log); ; {
				var line struct{ Level, Method string }
				if err := decoder.Decode(&line); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				logs = append(logs, line.Level+" "+line.Method)
			}
			if !slices.Equal(logs, row.logs) {
				t.Errorf("logged %q\nwant   %q", logs, row.logs)
			}
		})
	}
}

func TestCheck_WithoutALogger(t *testing.T) {
	t.Parallel()
	err := newGuard(t, accepting(nil), nil).Check(registered())
	if err == nil || strings.Count(err.Error(), "/grpc.testing.TestService/") != len(pb.TestService_ServiceDesc.Methods)+len(pb.TestService_ServiceDesc.Streams) {
		t.Error(err)
	}
}

// What Check names is what is refused, method by method.
func TestCheck_AgreesWithTheInterceptors(t *testing.T) {
	t.Parallel()
	srv := registered()
	for _, o := range []*grpcauth.Options{
		nil,
		{Default: new(validator.Requirement)},
		{Methods: map[string]validator.Requirement{unaryCall: {}, "/grpc.health.v1.Health/*": {}}},
		{Public: []string{unaryCall, duplexCall}, Methods: map[string]validator.Requirement{"/grpc.health.v1.Health/Watch": {}}},
	} {
		g := newGuard(t, accepting(nil), o)
		found := fmt.Sprint(g.Check(srv))
		for name, info := range srv.GetServiceInfo() {
			for _, m := range info.Methods {
				fullMethod := "/" + name + "/" + m.Name
				_, errs := called(t, g, fullMethod, "authorization", "Bearer abc")
				refused := status.Code(errs[0]) == codes.PermissionDenied
				if named := slices.Contains(strings.FieldsFunc(found, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }), fullMethod); named != refused {
					t.Errorf("%s: refused %v, but %s", fullMethod, refused, found)
				}
			}
		}
	}
}
