package grpcauth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
)

// Check compares the policy with the services of a [*grpc.Server], once all are
// registered. It logs each method without a policy, at Error, and each policy that
// names no registered method, at Warn. The error names them all, for a test, or a
// program that would rather not start: calls of the former are refused anyway.
func (g *Guard) Check(server interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
},
) error {
	var lacking []string
	unused := map[string]bool{}
	for method := range g.policies.methods {
		unused[method] = true
	}
	for service := range g.policies.services {
		unused["/"+service+"/*"] = true
	}
	for service, info := range server.GetServiceInfo() {
		delete(unused, "/"+service+"/*")
		for _, m := range info.Methods {
			fullMethod := "/" + service + "/" + m.Name
			delete(unused, fullMethod)
			if _, ok := g.policies.of(fullMethod); !ok {
				lacking = append(lacking, fullMethod)
			}
		}
	}
	slices.Sort(lacking)
	pointless := slices.Sorted(maps.Keys(unused))
	if g.logger != nil {
		for _, method := range lacking {
			g.logger.Error("method without a policy: its calls are refused", "method", method)
		}
		for _, method := range pointless {
			g.logger.Warn("policy for a method that is not registered", "method", method)
		}
	}
	return errors.Join(finding("methods without a policy", lacking), finding("policies for methods that are not registered", pointless))
}

func finding(what string, methods []string) error {
	if len(methods) == 0 {
		return nil
	}
	return fmt.Errorf("grpcauth: %s: %s", what, strings.Join(methods, ", "))
}
