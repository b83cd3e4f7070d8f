// Package shop is the API of an orders service, generated from shop.proto by
// protoc 3.21.12 (Debian's protobuf-compiler), protoc-gen-go v1.36.11 and
// protoc-gen-go-grpc v1.6.2. After a change of the .proto:
//
//	go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
//	go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
//	go generate ./examples/grpc/shop
package shop

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative shop.proto
